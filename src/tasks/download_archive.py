"""The files of one published archive: those that are there, and those that a server has."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genspot.common.errors import GenspotError
from genspot.common.files import read_json, write_json
from genspot.download.client import Client
from genspot.download.directory import Directory, kept_directory, read_directory
from genspot.download.patience import TransferStoppedError
from genspot.download.progress import Progress
from genspot.download.remote import RemoteFile
from genspot.download.seven_zip import stored_content
from genspot.download.source import ByteSource, LocalFile, Volumes, Window
from genspot.download.table import Archive, FileEntry
from genspot.download.whole_file import fetch_file, is_verified, missing_bytes, remove_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Counted:
    """A local file whose bytes count as arrived when they are read."""

    file: LocalFile
    progress: Progress

    @property
    def size(self) -> int:
        return self.file.size

    def read(self, offset: int, length: int) -> bytes:
        data = self.file.read(offset, length)
        self.progress.add(length)
        return data


@dataclass(frozen=True)
class _Remote:
    """A remote file; its errors say how to do without it, and how many more are missing."""

    file: RemoteFile
    folder: Path
    archive: str
    more: int

    @property
    def size(self) -> int:
        return self.file.size

    def read(self, offset: int, length: int) -> bytes:
        try:
            return self.file.read(offset, length)
        except TransferStoppedError:
            raise
        except GenspotError as error:
            more = f", and {self.more} more files of download/{self.archive}.yaml beside it"
            by_hand = self.file.entry.by_hand(self.folder) + more * bool(self.more)
            raise GenspotError(f"{error}; {by_hand}") from error


class ArchiveFiles:
    """The files of an archive; a complete one in `folder` is used before the server's.

    Args:
        archive: of the table.
        folder: of whole files.
        client: for what is not there.
        recheck: whether files are read again whose SHA-256 was right before.

    Raises:
        GenspotError: a file is there and is another one.
    """

    def __init__(self, archive: Archive, folder: Path, client: Client, recheck: bool) -> None:
        self.archive = archive
        self.folder = folder
        self._client = client
        self._open = ExitStack()
        self._silent = Progress(archive.title, 0, quiet=True)
        self._local: dict[str, LocalFile] = {}
        for file in archive.files:
            self._find(file, recheck)
        # What an earlier command knew: without it, the archive is read.
        self._record = folder / f"{archive.name}.json"
        self._known = {} if recheck else self._read_record()

    def close(self) -> None:
        """Close the local files."""
        self._open.close()

    @property
    def remote(self) -> list[FileEntry]:
        """The files that are not there."""
        return [file for file in self.archive.files if file.name not in self._local]

    def source(self, progress: Progress | None = None) -> ByteSource:
        """Return the ZIP file; `progress` counts what is read of it."""
        start, size = self._place()
        return Window(self._volumes(progress or self._silent), start, size)

    def directory(self) -> Directory:
        """Return all files of the archive; see `genspot.download.directory.read_directory`.

        One that is known is not asked for again, so a complete set needs no server.
        """
        kept = self.folder / self._known.get("directory", "")
        found = kept_directory(kept, self.archive.title)
        if found is None:
            found = read_directory(self.source(), self.folder, self.archive.title)
            self._write_record(found)
        expected = self.archive.members
        if expected is not None and expected != len(found):
            log.warning(
                "%s: the archive's own directory has %d files, the table of downloads %d",
                *(self.archive.title, len(found), expected),
            )
        return found

    def bytes_of(self, members: Directory) -> int:
        """Return how many bytes a server sends for `members`, about."""
        start, _ = self._place()
        starts = members.table["offset"].to_numpy() + start
        ends = members.table["end"].to_numpy() + start
        total = position = 0
        for file in self.archive.files:
            if file.name not in self._local:
                inside = np.minimum(ends, position + file.size) - np.maximum(starts, position)
                total += int(inside.clip(min=0).sum())
            position += file.size
        return total

    def bytes_of_whole(self) -> int:
        """Return how many bytes a server sends for all files that are not there."""
        return sum(
            missing_bytes(self.folder / file.name, file.size, file.sha256) for file in self.remote
        )

    def fetch(self, progress: Progress) -> None:
        """Fetch all files that are not there; see `genspot.download.whole_file.fetch_file`."""
        for file in self.remote:
            fetch_file(RemoteFile(self._client, file, progress), self.folder / file.name, progress)
            self._use(file)

    def remove(self) -> None:
        """Remove the files in `folder`, and what has arrived of others."""
        for file in self.archive.files:
            remove_file(self.folder / file.name)

    def _find(self, file: FileEntry, recheck: bool) -> None:
        """Use the file in `folder` if it is there and right."""
        path = self.folder / file.name
        expected = file.sha256
        unknown = expected is None and path.is_file()
        if unknown and (recheck or not is_verified(path, file.size, None)):
            try:
                expected = RemoteFile(self._client, file, self._silent).sha256()
            except GenspotError as error:
                log.warning(
                    "%s is used without its SHA-256, which only the server knows (%s); the "
                    "CRC-32 of every image in it is compared",
                    *(path, error),
                )
                self._use(file)
                return
        if is_verified(path, file.size, expected, recheck):
            self._use(file)

    def _use(self, file: FileEntry) -> None:
        opened = LocalFile(self.folder / file.name, file.size)
        self._open.callback(opened.close)
        self._local[file.name] = opened

    def _place(self) -> tuple[int, int]:
        """Return where the ZIP file begins in the joined files, and its size."""
        if not self._known:
            volumes = self._volumes(self._silent)
            self._known = {"start": 0, "size": volumes.size}
            if self.archive.wrapper:
                window = stored_content(volumes, self.archive.title)
                self._known = {"start": window.offset, "size": window.size}
        return self._known["start"], self._known["size"]

    def _read_record(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            record = read_json(self._record)
            if isinstance(record, dict) and record == self._signed(record):
                return record
        return {}

    def _write_record(self, found: Directory) -> None:
        start, size = self._place()
        kept = found.kept.name if found.kept else ""
        with suppress(OSError):  # it is asked for again then
            record = self._signed({"start": start, "size": size, "directory": kept})
            write_json(record, self._record)

    def _signed(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record with a digest of it and of the files as the table has them."""
        known = {key: record.get(key) for key in ("start", "size", "directory")}
        rows = [(file.name, file.url, file.size, file.sha256) for file in self.archive.files]
        return known | {"digest": hashlib.sha256(json.dumps([known, rows]).encode()).hexdigest()}

    def _volumes(self, progress: Progress) -> Volumes:
        name, more = self.archive.name, len(self.remote) - 1
        return Volumes(
            [
                _Counted(self._local[file.name], progress)
                if file.name in self._local
                else _Remote(RemoteFile(self._client, file, progress), self.folder, name, more)
                for file in self.archive.files
            ]
        )
