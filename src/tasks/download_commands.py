"""Commands that fetch what a run lacks, and that use what was fetched."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genspot.common.quantities import size_text
from genspot.data.places import missing_path
from genspot.download.disk import free_space
from genspot.download.table import Archive
from genspot.tasks.config_files import config_folders
from genspot.tasks.downloads import archives, read_downloads
from genspot.tasks.overrides import command_line_overrides, parse_overrides
from genspot.tasks.schema import plain

# What the next command leaves out; its run has a folder of its own.
OF_DOWNLOADS = ("task", "archives", "recheck", "all", "quiet", "hydra.run.dir", "hydra.sweep.dir")
DECODED = 2  # how much larger the published training images are in a packed copy, about
PUBLISHED = "checkpoint=published/blur_jpg_0.5"


def next_command(cfg: DictConfig, training: bool) -> list[str]:
    """Return the command that uses what a download has fetched.

    That is a test of the checkpoint, if one is named; else a training, which ends with a test;
    else a test of published weights.

    Args:
        cfg: of the download.
        training: whether training images are among it.

    Returns:
        Its words; [] where no test set is chosen: neither runs without.
    """
    if not (cfg.all or plain(cfg, "generator")):
        return []
    kept = _overrides(lambda key: key not in OF_DOWNLOADS)
    if cfg.all:
        kept = ["data=progan_20cls", *kept]
    if plain(cfg, "checkpoint") is not None:
        kept = ["task=test", *kept]
    elif not training:
        kept = ["task=test", PUBLISHED, *kept]
    return [*_program(), *kept]


def training_offer(cfg: DictConfig, values: Mapping[str, Any]) -> str:
    """Return a sentence on the command that fetches missing training images, "" if none does.

    Args:
        cfg: of a run.
        values: settings of `data`.
    """
    train, val, classes = (values[key] for key in ("train", "val", "classes"))
    if values.get("simulator") or not (isinstance(train, str) and isinstance(val, str)):
        return ""
    if not (_is_incomplete(train, classes) or _is_incomplete(val, classes)):
        return ""
    choice = HydraConfig.get().runtime.choices.get("data") if HydraConfig.initialized() else None
    published = [one for one in archives(read_downloads()) if choice in one.data]
    if not published:
        return ""
    count = values.get("num_classes") or (len(classes) if isinstance(classes, list) else None)
    fetched = round(sum(one.size * _share(one, count) for one in published))
    images = (DECODED if values.get("format") == "packed" else 1) * fetched
    disk = f"and about {size_text(images)} of disk"
    if fetched == sum(one.size for one in published):
        disk = (
            f"and {size_text(fetched + images)} of disk, or {size_text(images)} with archives=none"
        )
    options = _overrides(lambda key: key.startswith(("data.", "paths.")) or key == "seed")
    command = shlex.join([*_program(), "task=download", f"data={choice}", *options])
    return (
        f"{command} fetches it: about {size_text(fetched)} to transfer {disk}{_with_tests(cfg)}; "
        f"{_free(train)}"
    )


def test_offers(places: Mapping[str, Any]) -> dict[str, str]:
    """Return sentences on the commands that fetch missing test sets, by their choices.

    {names} in them stands for the choices of all that are missing; those of one archive and folder
    have one sentence.

    Args:
        places: the place of the images of each choice of `generator`.
    """
    missing = {
        choice: place
        for choice, place in places.items()
        if isinstance(place, str) and missing_path(place)
    }
    offers: dict[str, str] = {}
    for archive in archives(read_downloads()) if missing else ():
        groups: dict[Path, list[str]] = {}
        for choice in archive.generators:
            if choice in missing:
                groups.setdefault(Path(missing[choice]).parent, []).append(choice)
        for folder, choices in groups.items():
            options = _overrides(lambda key: key.startswith("paths."))
            command = shlex.join([*_program(), "task=download", "generator=[{names}]", *options])
            sentence = (
                f"{command} fetches that from an archive of {size_text(archive.size)}; "
                f"{_free(str(folder))}"
            )
            offers |= dict.fromkeys(choices, sentence)
    return offers


def _share(archive: Archive, classes: int | None) -> float:
    """Return which share of an archive a number of its classes takes; None: all of them."""
    known = len(archive.classes)
    return classes / known if classes is not None and classes < known else 1.0


def _with_tests(cfg: DictConfig) -> str:
    """Return what the command also fetches for the tests of a training."""
    chosen = cfg.get("generator") or {}
    missing = {
        name
        for name, spec in chosen.items()
        if isinstance(spec.get("path"), str) and missing_path(spec.path)
    }
    found = [one for one in archives(read_downloads()) if missing.intersection(one.generators)]
    if not found:
        return ""
    size = size_text(sum(archive.size for archive in found))
    return f", and the missing test sets, at most {size} (generator=[] leaves them out)"


def _is_incomplete(place: str, classes: Any) -> bool:
    """Return whether a folder or one of its class folders is missing."""
    names = classes if isinstance(classes, list) else []
    return missing_path(place) is not None or any(
        not os.path.isdir(os.path.join(place, name)) for name in names
    )


def _free(place: str) -> str:
    folder = Path(place).absolute().parent
    return f"{size_text(free_space(folder))} are free in {folder}"


def _program() -> list[str]:
    """Return the beginning of a command, with the user's own config folders."""
    own = [f"--config-dir={folder}" for folder in config_folders()[1:]]
    return ["python", "run.py", *own]


def _overrides(keep: Callable[[str], bool]) -> list[str]:
    """Return the overrides of this command line whose keys are to be kept."""
    if not HydraConfig.initialized():
        return []
    given: Iterable[str] = command_line_overrides()
    return [str(one.input_line) for one in parse_overrides(list(given)) if keep(one.key_or_group)]
