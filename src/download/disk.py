"""Space on disks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from genspot.download.directory import Directory


def free_space(path: Path) -> int:
    """Return the bytes that are free for files at `path`, which need not exist yet."""
    raise NotImplementedError


def need(directory: Directory, path: Path) -> int:
    """Return the bytes that the members take below `path`, in whole blocks of its file system."""
    raise NotImplementedError


def require_space(needs: Mapping[Path, int]) -> None:
    """Raise GenspotError if a disk lacks space for what goes to it.

    Args:
        needs: the bytes that go below each folder, which need not exist yet. Those of one file
            system are added.
    """
    raise NotImplementedError
