"""Which detector scores photos where no checkpoint is named."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from genspot.download.table import Weights
from genspot.tasks.downloads import read_downloads
from genspot.tasks.places import EMBEDDED, PUBLISHED
from genspot.tasks.schema import plain

log = logging.getLogger(__name__)

TASKS = ("predict", "serve")  # the others are of a certain checkpoint


def choose_checkpoint(cfg: DictConfig) -> None:
    """Set a `checkpoint` that is null: to a detector that was downloaded, or the embedded one.

    The log says which, and how to name another. Of several that were downloaded it is the first in
    the order of their names. `cfg` is changed for the tasks of `TASKS` alone.
    """
    if cfg.task.name not in TASKS or plain(cfg, "checkpoint") is not None:
        return
    downloaded = downloaded_detectors(Path(cfg.paths.weights))
    if downloaded:
        others = ", ".join(downloaded[1:])
        beside = f" (there are also {others})" if others else ""
        log.info(
            "no checkpoint is named: photos are scored by %s, which was downloaded%s; another: "
            "checkpoint=PATH, checkpoint=%s",
            downloaded[0],
            beside,
            EMBEDDED,
        )
    else:
        log.info(
            "no checkpoint is named, and none was downloaded: photos are scored by the small "
            "detector that ships with genspot, checkpoint=%s, which misses most fakes of many "
            "generators (docs/embedded.md); another: checkpoint=PATH",
            EMBEDDED,
        )
    OmegaConf.update(cfg, "checkpoint", downloaded[0] if downloaded else EMBEDDED)


def downloaded_detectors(folder: Path) -> list[str]:
    """Return published/NAME of each detector whose file lies in `folder`, sorted.

    A file counts by its name and size; whether its content is right is checked when it is read.
    """
    if not folder.is_dir():
        return []
    return sorted(
        f"{PUBLISHED}{name}"
        for name, entry in read_downloads().items()
        if isinstance(entry, Weights) and entry.data is not None and _is_there(entry, folder)
    )


def _is_there(entry: Weights, folder: Path) -> bool:
    (file,) = entry.files
    path = folder / file.name
    return path.is_file() and path.stat().st_size == file.size
