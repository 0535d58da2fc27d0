"""Which archives `task=download` takes, how much of each, and where it goes."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.data.places import missing_path
from genspot.data.settings import TRAINING_SPLITS, Place, Split, TrainingSet
from genspot.data.sources import choose_classes
from genspot.download.table import Archive
from genspot.tasks import config
from genspot.tasks.downloads import archives, read_downloads
from genspot.tasks.generators import is_own
from genspot.tasks.overrides import command_line_overrides, overridden_keys
from genspot.tasks.schema import plain


@dataclass(frozen=True)
class Wanted:
    """What is wanted of one archive.

    Attributes:
        archive: of the table.
        root: the folder below which its files go, by their names in the archive.
        folders: at the top of the archive; () for all of it.
        packed: whether they go into the packed copy of `root`, without files.
    """

    archive: Archive
    root: Path
    folders: tuple[str, ...] = ()
    packed: bool = False


@dataclass(frozen=True)
class Choice:
    """What a command chooses.

    Attributes:
        wanted: of each archive, training and validation before tests.
        elsewhere: test sets that are missing and in no archive: the name and page of each.
    """

    wanted: list[Wanted]
    elsewhere: dict[str, str]


def choose(cfg: DictConfig, beside_weights: bool = False) -> Choice:
    """Return what the settings choose.

    These are the training and validation images of `data`, where the command line names `data` or
    it is published, and the test sets of `generator`; or with `all` every archive of the table.

    Args:
        cfg: of the download.
        beside_weights: whether weights are chosen, so that images need not be.

    Raises:
        GenspotError: nothing that is published is chosen, or a place is no folder.
    """
    found = archives(read_downloads())
    if cfg.all:
        everything = _everything(cfg, found)
        _check_roots(everything)
        return Choice(everything, {})
    training = _training(cfg, found)
    tests, elsewhere = _tests(cfg, found)
    _check_roots(training + tests)
    if training or tests or (beside_weights and not elsewhere):
        return Choice(training + tests, elsewhere)
    if elsewhere:
        pages: dict[str, list[str]] = {}
        for name, page in elsewhere.items():
            pages.setdefault(page, []).append(name)
        named = ", ".join(f"{', '.join(names)} ({page})" for page, names in pages.items())
        raise GenspotError(
            f"no entry of download/ has {named}: docs/test_sets.md says how to get it by hand"
        )
    known = dict.fromkeys(name for archive in found for name in archive.data)
    raise GenspotError(
        "nothing that is published is chosen: give data=NAME, generator=[NAME,…] or all=true; "
        f"data: {', '.join(known)}; generator: forensynths and its sets"
    )


def _check_roots(wanted: list[Wanted]) -> None:
    """Check that no folder gets the images of two splits, whose files have the same names.

    Raises:
        GenspotError: one does.
    """
    splits: dict[str, str] = {}
    for one in wanted:
        first = splits.setdefault(os.path.realpath(one.root), one.archive.split)
        if first != one.archive.split:
            raise GenspotError(
                f"{one.root} would hold the images of both {first} and {one.archive.split}: give "
                "each a folder of its own, paths.train=, paths.val= and paths.test=PATH"
            )


def _everything(cfg: DictConfig, found: list[Archive]) -> list[Wanted]:
    keys = overridden_keys(command_line_overrides())
    for key in keys:
        section = key.partition(".")[0]
        if section in ("data", "generator", "test_sets", "test_set") and key != "data.format":
            raise GenspotError(f"all=true takes every archive, whatever {key} says: leave one out")
    order = [*TRAINING_SPLITS, "test"]
    packed = cfg.data.get("format") == "packed"
    return [
        Wanted(
            one, Path(cfg.paths[one.split]).absolute(), (), packed and one.split in TRAINING_SPLITS
        )
        for one in sorted(found, key=lambda one: order.index(one.split))
    ]


def _training(cfg: DictConfig, found: list[Archive]) -> list[Wanted]:
    """Return the training and validation images, [] if they are not asked for."""
    name = HydraConfig.get().runtime.choices.get("data")
    published = [archive for archive in found if name in archive.data]
    if not published:
        keys = overridden_keys(command_line_overrides())
        if not any(key == "data" or key.startswith("data.") for key in keys):
            return []
        if config.training_set(cfg).parts:
            return []  # data=sets trains on the test sets
        raise _not_published(cfg, found)
    source = config.training_set(cfg)
    wanted = []
    for split in TRAINING_SPLITS:
        for archive in published:
            if archive.split == split:
                root = _folder(source, split)
                classes = choose_classes(source, split, cfg.seed)
                folders = tuple(classes) if isinstance(classes, list) else ()
                _check_classes(source, archive, folders)
                wanted.append(Wanted(archive, root, folders, source.format == "packed"))
    return wanted


def _not_published(cfg: DictConfig, found: list[Archive]) -> GenspotError:
    known = dict.fromkeys(name for archive in found for name in archive.data)
    built = "it is built where it is missing" if cfg.data.get("simulator") else "bring your own"
    return GenspotError(
        f"data={cfg.data.name} is not in the table of published files: {built}; published are "
        f"{', '.join(known)}"
    )


def _folder(source: TrainingSet, split: Split) -> Path:
    """Return where the training or validation images go.

    Raises:
        GenspotError: the setting names no folder.
    """
    place = source.train if split == "train" else source.val
    if not isinstance(place, str) or glob.has_magic(place) or Path(place).is_file():
        raise GenspotError(
            f"data.{split}={shown(place)} is no folder, which task=download writes to: give "
            f"data.{split}=PATH"
        )
    return Path(place).absolute()


def _check_classes(source: TrainingSet, archive: Archive, folders: tuple[str, ...]) -> None:
    if archive.classes and (unknown := sorted(set(folders) - set(archive.classes))):
        raise GenspotError(
            f"data={source.name}: {archive.title} have no class {', '.join(unknown)}; there are: "
            f"{', '.join(archive.classes)}"
        )


def _tests(cfg: DictConfig, found: list[Archive]) -> tuple[list[Wanted], dict[str, str]]:
    """Return the test sets that are published, and the pages of those that are missing."""
    own = plain(cfg, "test_sets") or {}
    folders: dict[tuple[str, Path], list[str]] = {}
    elsewhere: dict[str, str] = {}
    for test_set in config.test_sets(cfg):
        published = [
            archive
            for archive in found
            if test_set.choice in archive.generators and not is_own(test_set.choice, own)
        ]
        if published:
            path = _test_folder(test_set.choice, test_set.path)
            for archive in published:
                folders.setdefault((archive.name, path.parent), []).append(path.name)
        elif not test_set.simulator and test_set.path and missing_path(test_set.path):
            elsewhere[test_set.choice] = test_set.download or "of your own"
    by_name = {archive.name: archive for archive in found}
    wanted = [Wanted(by_name[name], root, tuple(names)) for (name, root), names in folders.items()]
    return wanted, elsewhere


def _test_folder(choice: str, place: Place | None) -> Path:
    if not isinstance(place, str) or glob.has_magic(place) or Path(place).is_file():
        raise GenspotError(
            f"generator.{choice}.path={shown(place)} is no folder, which task=download writes to: "
            "give paths.test=PATH"
        )
    return Path(place).absolute()
