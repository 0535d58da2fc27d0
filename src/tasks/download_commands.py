"""Commands that fetch what a run lacks, and that use what was fetched."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genspot.common.quantities import size_text
from genspot.data.places import missing_path
from genspot.download.disk import free_space
from genspot.tasks.config_files import config_folders
from genspot.tasks.downloads import archives, read_downloads
from genspot.tasks.overrides import command_line_overrides, parse_overrides

OF_DOWNLOADS = ("task", "archives", "recheck", "all", "quiet")  # what the next command leaves out
DECODED = 2  # how much larger the published training images are in a packed copy, about
PUBLISHED = "checkpoint=published/blur_jpg_0.5"


def next_command(cfg: DictConfig, training: bool) -> list[str]:
    """Return the command that uses what a download has fetched.

    Args:
        cfg: of the download.
        training: whether training images are among it.
    """
    kept = _overrides(lambda key: key not in OF_DOWNLOADS)
    if cfg.all:
        kept = ["data=progan_20cls", *kept]
    return [*_program(), *([] if training else ["task=test", PUBLISHED]), *kept]


def training_offer(cfg: DictConfig, values: dict[str, Any]) -> str:
    """Return a sentence on the command that fetches missing training images, "" if none does.

    Args:
        cfg: of a run.
        values: settings of `data`.
    """
    places = [values[split] for split in ("train", "val")]
    if values.get("simulator") or not any(map(_is_incomplete, places, [values["classes"]] * 2)):
        return ""
    choice = HydraConfig.get().runtime.choices.get("data") if HydraConfig.initialized() else None
    found = archives(read_downloads())
    published = [archive for archive in found if choice in archive.data]
    if not published:
        return ""
    classes = values.get("num_classes") or len(values["classes"] or [])
    sizes = [
        round(archive.size * (classes / len(archive.classes) if archive.classes else 1))
        for archive in published
    ]
    is_all = sum(sizes) >= sum(archive.size for archive in published)
    options = _overrides(lambda key: key.startswith(("data.", "paths.")) or key == "seed")
    command = shlex.join([*_program(), "task=download", f"data={choice}", *options])
    images = (DECODED if values.get("format") == "packed" else 1) * sum(sizes)
    disk = (
        f"and {size_text(sum(sizes) + images)} of disk, or {size_text(images)} with archives=none"
        if is_all
        else f"and about {size_text(images)} of disk"
    )
    return (
        f"{command} fetches it: about {size_text(sum(sizes))} to transfer {disk}"
        f"{_with_tests(cfg)}; {_free(places[0])}"
    )


def test_offer(choice: str, place: Any) -> str:
    """Return a sentence on the command that fetches a missing test set, "" if none does.

    {names} in it stands for the names of all that are missing.

    Args:
        choice: the choice of `generator` that defines the set.
        place: of its images.
    """
    if not isinstance(place, str) or missing_path(place) is None:
        return ""
    published = [one for one in archives(read_downloads()) if choice in one.generators]
    if not published:
        return ""
    paths = shlex.join(_overrides(lambda key: key.startswith("paths.")))
    command = " ".join(
        part
        for part in (shlex.join(_program()), "task=download 'generator=[{names}]'", paths)
        if part
    )
    size = size_text(sum(archive.size for archive in published))
    return f"{command} fetches that from an archive of {size}; {_free(place)}"


def _with_tests(cfg: DictConfig) -> str:
    """Return what the command also fetches for the tests of a training."""
    chosen = cfg.get("generator") or {}
    found = [
        archive
        for archive in archives(read_downloads())
        if any(
            isinstance(chosen[name].get("path"), str) and missing_path(chosen[name].path)
            for name in archive.generators
            if name in chosen
        )
    ]
    if not found:
        return ""
    size = size_text(sum(archive.size for archive in found))
    return f", and the missing test sets, at most {size} (generator=[] leaves them out)"


def _is_incomplete(place: Any, classes: Any) -> bool:
    """Return whether a folder or one of its class folders is missing."""
    if not isinstance(place, str):
        return False
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
