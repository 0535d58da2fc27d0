"""Space on disks."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genspot.common.errors import GenspotError
from genspot.common.quantities import size_text
from genspot.download.directory import Directory


def free_space(path: Path) -> int:
    """Return the bytes that are free for files at `path`, which need not exist yet."""
    return shutil.disk_usage(_existing(path)).free


def need(directory: Directory, path: Path) -> int:
    """Return the bytes that the members take below `path`, in whole blocks of its file system."""
    block = os.statvfs(_existing(path)).f_frsize
    sizes = np.asarray(directory.table["size"])
    return int(((sizes + block - 1) // block * block).sum())


def require_space(needs: Mapping[Path, int]) -> None:
    """Raise GenspotError if a disk lacks space for what goes to it.

    Args:
        needs: the bytes that go below each folder, which need not exist yet. Those of one file
            system are added.
    """
    folders: dict[int, list[Path]] = defaultdict(list)
    for path, size in needs.items():
        if size:
            folders[_existing(path).stat().st_dev].append(path)
    for paths in folders.values():
        total, free = sum(needs[path] for path in paths), free_space(paths[0])
        if total > free:
            names = " and ".join(f"{path} ({size_text(needs[path])})" for path in paths)
            raise GenspotError(
                f"{size_text(total)} are needed for {names}, and the disk has {size_text(free)} "
                "free; make room, or name another disk (paths.datasets=PATH)"
            )


def _existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.exists())
