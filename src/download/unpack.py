"""Members of an archive as files below a folder."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genspot.common.errors import GenspotError
from genspot.common.files import UNFINISHED
from genspot.download.members import Batch, batches, read_batch
from genspot.download.os_errors import named_os_errors
from genspot.download.presence import (
    PARTIAL,
    Missing,
    find_missing,
    lock_root,
    record_complete,
)
from genspot.download.progress import Progress
from genspot.download.source import ByteSource
from genspot.download.workers import map_ahead

__all__ = ["Missing", "Unpacked", "find_missing", "lock_root", "unpack"]

log = logging.getLogger(__name__)


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


def unpack(
    source: ByteSource,
    missing: Missing,
    threads: int,
    progress: Progress,
    cancel: Callable[[], object],
) -> Unpacked:
    """Write the missing members below `missing.root`; `lock_root` must be held.

    Each is verified, written to a temporary name and renamed, so an interrupted call leaves whole
    files, and the next `find_missing` continues from them.

    Args:
        source: the ZIP file.
        missing: what to write.
        threads: that read, inflate and write at once.
        progress: counts the bytes of written members in the archive (`Directory.stored`) as
            verified. The source counts those that arrive.
        cancel: called where the work ends early; it ends waiting reads of the source.

    Raises:
        GenspotError: a member is damaged or cannot be written, or a file is missing at the end.
    """
    with named_os_errors():
        _write_members(source, missing, threads, progress, cancel)
        extra = _check_counts(missing)
        if missing.members:
            os.sync()  # before anyone removes the archive
    written = len(missing.members)
    return Unpacked(written, len(missing.wanted) - written, missing.members.size, extra)


def _write_members(
    source: ByteSource,
    missing: Missing,
    threads: int,
    progress: Progress,
    cancel: Callable[[], object],
) -> None:
    """Write the missing members; record each folder as complete when its last one is written."""
    left = {folder: len(members) for folder, members in missing.members.by_folder().items()}
    wanted = missing.wanted.by_folder()
    for folder in left:
        _make_folder(missing.root / folder)
    stop = threading.Event()

    def end() -> None:
        stop.set()
        cancel()

    def write(batch: Batch) -> Counter[str]:
        written: Counter[str] = Counter()
        for name, data in read_batch(source, batch):
            if stop.is_set():
                break
            folder, _, file = name.rpartition("/")
            _write_file(missing.root / folder, file, data)
            written[folder] += 1
        progress.verified(batch.directory.stored)
        return written

    with map_ahead(write, batches(missing.members), threads, end) as results:
        for written in results:
            for folder, count in written.items():
                left[folder] -= count
                if not left[folder]:
                    record_complete(missing.root, folder, wanted[folder])


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / UNFINISHED).touch()  # until its last file is there, no run reads it
    except FileExistsError as error:  # a file, or a link to nothing
        raise GenspotError(f"{folder} is there and is no folder: move it away") from error


def _write_file(folder: Path, name: str, data: bytes) -> None:
    path = os.path.join(folder, name)
    partial = os.path.join(folder, f".{threading.get_ident()}{PARTIAL}")
    try:
        with open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(partial)  # its space may be what another file lacks
        raise OSError(error.errno, error.strerror, path) from error


def _check_counts(missing: Missing) -> int:
    """Return how many files are in the folders and not in the archive; name the first of each.

    Raises:
        GenspotError: a member is not there.
    """
    total = 0
    for folder, members in missing.wanted.by_folder().items():
        path = missing.root / folder
        with os.scandir(path) as entries:
            there = {one.name for one in entries if not one.is_dir()}
        names = {name.rpartition("/")[2] for name in members.table["name"].to_pylist()}
        if lost := sorted(names - there):
            raise GenspotError(
                f"{path} lacks {len(lost)} of the {len(names)} files of {missing.wanted.title} "
                f"after they were written, the first: {lost[0]}; does another program change "
                "the folder? The same command writes them again"
            )
        if extra := sorted(name for name in there - names if name[0] != "."):
            total += len(extra)
            log.warning(
                "files in %s that are not in %s and would be read too: %d; the first: %s",
                *(path, missing.wanted.title, len(extra), extra[0]),
            )
    return total
