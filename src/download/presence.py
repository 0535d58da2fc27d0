"""Which members of an archive are files below a folder already."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import zlib
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import UNFINISHED, read_json, write_json
from genspot.download.directory import Directory
from genspot.download.locks import lock
from genspot.download.os_errors import named_os_errors
from genspot.download.workers import map_ahead

log = logging.getLogger(__name__)

HIDDEN = ".unpacked"  # folder below the root, for the lock and the record
RECORD = "complete.json"  # the digest of each complete folder
PARTIAL = ".unpacking"  # how the hidden name of an unfinished file ends
CHUNK = 2**20  # bytes read at once
READERS = 4  # threads that compare files


@dataclass(frozen=True)
class Missing:
    """What is not unpacked yet.

    Attributes:
        root: the folder below which the members go.
        wanted: the members that must be there at the end.
        members: those of them that are missing, or are there with other content.
    """

    root: Path
    wanted: Directory
    members: Directory


class _Row(NamedTuple):
    """A member, and the file in its place."""

    name: str  # in the archive
    path: str
    size: int
    crc: int
    there: os.stat_result | None

    def is_right(self) -> bool:
        """Return whether the file has the content of the member.

        Raises:
            GenspotError: something else than a file is there.
            OSError: it cannot be read.
        """
        if self.there is None:
            return False
        if not stat.S_ISREG(self.there.st_mode):
            raise GenspotError(f"{self.path} is there and is no file: move it away")
        return self.there.st_size == self.size and _crc(self.path) == self.crc


def lock_root(root: Path) -> AbstractContextManager[None]:
    """Return the lock that a process holds from before `find_missing` to the end of `unpack`."""
    return lock(root / HIDDEN / "lock", root)


def find_missing(wanted: Directory, root: Path, recheck: bool = False) -> Missing:
    """Return which of the members are not below `root`; `lock_root` must be held.

    Folders that are recorded as complete, whose files have the sizes and times of then, count
    unread. Of other folders each file is read and compared with the CRC-32 of its member; the log
    counts those that differ. What an interrupted call of `unpack` left unfinished is removed.

    Args:
        wanted: the members, by their names below `root`.
        root: the folder, which need not exist.
        recheck: read the files of complete folders too.

    Raises:
        GenspotError: a folder or a file cannot be read, or members go where the record is.
    """
    if pc.any(pc.starts_with(wanted.table["name"], f"{HIDDEN}/")).as_py():
        raise GenspotError(f"{wanted.title} has members below {HIDDEN}/, where records are kept")
    if recheck:
        _write_record(root, {})
    missing: list[str] = []
    different: list[str] = []
    title = f"checking {root}"
    with named_os_errors(), tqdm(total=len(wanted), desc=title, unit="file", delay=2) as bar:
        for folder, members in wanted.by_folder().items():
            wrong = _wrong_rows(root, folder, members)
            missing += [row.name for row in wrong]
            different += [row.path for row in wrong if row.there is not None]
            bar.update(len(members))
    if different:
        log.warning(
            "files below %s that differ from those of %s and will be written again: %d; the "
            "first: %s",
            *(root, wanted.title, len(different), different[0]),
        )
    chosen = pc.is_in(wanted.table["name"], pa.array(missing, pa.string()))
    return Missing(root, wanted, replace(wanted, table=wanted.table.filter(chosen)))


def record_complete(root: Path, folder: str, members: Directory) -> None:
    """Record that all files of `folder` below `root` have the content of `members`.

    Raises:
        OSError: the folder cannot be read, or the record not be written.
    """
    if digest := _digest(_rows(root / folder, members)):
        _unmark(root / folder)
        _write_record(root, {**_read_record(root), folder: digest})


def _wrong_rows(root: Path, folder: str, members: Directory) -> list[_Row]:
    """Return the members of a folder whose files are missing or different; record if none is."""
    rows = _rows(root / folder, members)
    digest = _digest(rows)
    if digest and _read_record(root).get(folder) == digest:
        _unmark(root / folder)
        return []
    files = [row for row in rows if row.there is not None]
    with map_ahead(_Row.is_right, files, READERS, lambda: None) as results:
        right = {row.name for row, is_right in zip(files, results, strict=True) if is_right}
    if len(right) == len(rows):
        record_complete(root, folder, members)
    return [row for row in rows if row.name not in right]


def _unmark(folder: Path) -> None:
    """Let runs read a folder: all of its files are there."""
    if (mark := folder / UNFINISHED).exists():  # in a folder that can only be read, it is not
        mark.unlink()


def _rows(path: Path, members: Directory) -> list[_Row]:
    there = _files(path)
    columns = (members.table[name].to_pylist() for name in ("name", "size", "crc"))
    return [
        _Row(name, os.path.join(path, file), size, crc, there.get(file))
        for name, size, crc in zip(*columns, strict=True)
        for file in [name.rpartition("/")[2]]
    ]


def _files(path: Path) -> dict[str, os.stat_result]:
    """Return what is in a folder, by name; remove what was left unfinished."""
    found: dict[str, os.stat_result] = {}
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name[0] == "." and entry.name.endswith(PARTIAL):
                os.unlink(entry.path)
                continue
            with suppress(FileNotFoundError):  # a link to nothing
                found[entry.name] = entry.stat()
    return found


def _digest(rows: list[_Row]) -> str | None:
    """Return a digest of the members and of their files' sizes and times; None if one lacks."""
    digest = hashlib.sha256()
    for row in rows:
        if row.there is None or row.there.st_size != row.size:
            return None
        line = f"{row.name}\0{row.size}\0{row.crc}\0{row.there.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _crc(path: str) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with open(path, "rb") as file:
        for chunk in iter(partial(file.read, CHUNK), b""):
            crc = zlib.crc32(chunk, crc)
    return crc


def _read_record(root: Path) -> dict[str, str]:
    """Return the digests of complete folders, by folder; {} where the record cannot be read."""
    try:
        record = read_json(root / HIDDEN / RECORD)
    except (OSError, ValueError):
        return {}  # its files are then read
    return record if isinstance(record, dict) else {}


def _write_record(root: Path, record: dict[str, str]) -> None:
    write_json(dict(sorted(record.items())), root / HIDDEN / RECORD)
