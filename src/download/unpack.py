"""Members of an archive as files below a folder."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from genspot.download.directory import Directory
from genspot.download.progress import Progress
from genspot.download.source import ByteSource


@dataclass(frozen=True)
class Missing:
    """What is not unpacked yet.

    Attributes:
        root: the folder below which the members go.
        wanted: the members that must be there at the end.
        members: those of them that are missing, or are there with other content.
        different: number of files that are there with other content.
    """

    root: Path
    wanted: Directory
    members: Directory
    different: int


@dataclass(frozen=True)
class Unpacked:
    """What `unpack` did.

    Attributes:
        written: number of files that it wrote.
        present: number of files that were there before.
        bytes: of the written files.
        extra: number of files that are in their folders and not in the archive.
    """

    written: int
    present: int
    bytes: int
    extra: int


def lock_root(root: Path) -> AbstractContextManager[None]:
    """Return the lock that a process holds from before `find_missing` to the end of `unpack`."""
    raise NotImplementedError


def find_missing(wanted: Directory, root: Path, recheck: bool = False) -> Missing:
    """Return which of the members are not below `root`; `lock_root` must be held.

    Folders that are recorded as complete, whose files have the sizes and times of then, count
    unread. Of other folders each file is read and compared with the CRC-32 of its member.

    Args:
        wanted: the members, with their folders' names below `root`.
        root: the folder, which need not exist.
        recheck: read the files of complete folders too.
    """
    raise NotImplementedError


def unpack(
    source: ByteSource,
    missing: Missing,
    threads: int,
    progress: Progress,
    stop: threading.Event,
) -> Unpacked:
    """Write the missing members below `missing.root`; `lock_root` must be held.

    Each is verified, written to a temporary name and renamed, so an interrupted call leaves whole
    files, and the next `find_missing` continues from them. `progress.verified` gets the compressed
    bytes of each member; `progress.add` is left to the source.

    Raises:
        GenspotError: a member is damaged, or a file is missing at the end.
        OSError: a file cannot be written; its `filename` is set.
    """
    raise NotImplementedError
