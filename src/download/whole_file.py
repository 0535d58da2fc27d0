"""A file of a server, fetched whole: by several connections, resumable, and verified.

While PATH is fetched, PATH.part holds its bytes and PATH.part.chunks a CRC-32 of each chunk that
has arrived. Another process, on this machine or another, continues from the two.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from genspot.common.errors import GenspotError
from genspot.common.files import read_json, write_json, write_text
from genspot.download.locks import lock
from genspot.download.os_errors import named_os_errors
from genspot.download.progress import Progress
from genspot.download.remote import RemoteFile
from genspot.download.workers import map_ahead

log = logging.getLogger(__name__)

CHUNK = 4 * 2**20  # bytes; a killed process loses at most one for each connection
ROUNDS = 4  # of fetching what is missing and verifying all
PART, JOURNAL, RECORD = ".part", ".part.chunks", ".verified"  # endings of the files beside one
LARGE = 2**30  # bytes; from here on, a right hash is remembered in RECORD


def fetch_file(remote: RemoteFile, path: Path, progress: Progress, connections: int = 4) -> None:
    """Fetch a file to `path`; what an earlier process has fetched of it stays.

    Where another process is at it, wait for it. A file that is there already is verified.

    Args:
        remote: the file; its client is cancelled if this fails.
        path: whose folder is made.
        progress: counts the bytes that arrive and that are verified.
        connections: at once.

    Raises:
        GenspotError: the bytes cannot be had, or have another SHA-256, also when all are fetched
            once more; `path` is there and is another file; or it cannot be written, as on a full
            disk.
    """
    expected = remote.sha256()
    with named_os_errors(path), lock(_beside(path, ".lock"), path):
        if is_verified(path, remote.size, expected):
            return
        part = _Part(path, remote.size, expected)
        digest = _complete(remote, part, expected, progress, connections)
        part.finish(path)
        _remember(path, digest)


def is_verified(path: Path, size: int, sha256: str | None, recheck: bool = False) -> bool:
    """Return whether `path` is there and the right file.

    Args:
        path: of a finished file, which anybody may have placed there.
        size: that it must have, in bytes.
        sha256: that it must have, or the first digits; None: not known, and only a file counts
            whose hash was right when it was fetched.
        recheck: whether a large file is read again that was verified before, and has kept its
            size and time.

    Raises:
        GenspotError: it is there and is another file: what was found and expected is named.
    """
    if not path.exists():
        return False
    if not path.is_file():
        raise GenspotError(f"{path} is no file: remove it, for a file of this name is downloaded")
    again = "remove it or move it away, and it is downloaded again"
    if (found := path.stat().st_size) != size:
        raise GenspotError(f"{path} has {found:,} bytes, expected are {size:,}: {again}")
    remembered = _remembered(path)
    if sha256 is None:
        return bool(remembered)
    if remembered and remembered.startswith(sha256) and not recheck:
        return True
    digest = _sha256(path)
    if not digest.startswith(sha256):
        raise GenspotError(f"{path} has the SHA-256 {digest}, expected is {sha256}: {again}")
    _remember(path, digest)
    return True


def missing_bytes(path: Path, size: int, sha256: str | None) -> int:
    """Return how many bytes `fetch_file` would still fetch to a `path` that is not finished."""
    part = _Part(path, size, sha256)
    return sum(part.span(number)[1] for number in part.missing())


def remove_file(path: Path) -> None:
    """Remove a file, what has arrived of it, and what is known of it; none need be there."""
    for ending in ("", PART, JOURNAL, RECORD):
        _beside(path, ending).unlink(missing_ok=True)


class _Part:
    """A file while it is fetched: its chunks, and which of them have arrived.

    Args:
        path: of the finished file.
        size: in bytes.
        sha256: of the file that the chunks are of; None: not known.
    """

    def __init__(self, path: Path, size: int, sha256: str | None) -> None:
        self.file = _beside(path, PART)
        self.journal = _beside(path, JOURNAL)
        self.size = size
        self.count = -(-size // CHUNK)
        self._about = {"bytes": size, "chunk": CHUNK, "sha256": sha256}
        self._checksums = self._read_journal()
        self._right: set[int] = set()  # chunks that were verified already
        self._lock = threading.Lock()
        self._descriptor = -1

    def span(self, number: int) -> tuple[int, int]:
        """Return where a chunk begins, and its length."""
        return number * CHUNK, min(CHUNK, self.size - number * CHUNK)

    def missing(self) -> list[int]:
        """Return the numbers of the chunks that have not arrived, in their order."""
        return [number for number in range(self.count) if number not in self._checksums]

    def open(self) -> None:
        """Make the file and its journal ready to be written."""
        if not self._checksums and self.file.exists():
            log.warning("%s holds no chunk of this file: fetched from the start", self.file)
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
        os.ftruncate(self._descriptor, self.size)
        self._write_journal()

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def write(self, number: int, data: bytes) -> None:
        """Write a chunk, then its checksum into the journal; by several threads at once."""
        offset, written = self.span(number)[0], 0
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], offset + written)
        with self._lock:
            self._checksums[number] = zlib.crc32(data)
            with self.journal.open("a", encoding="ascii") as file:
                file.write(self._line(number))

    def verify(self, progress: Progress) -> tuple[str, list[int]]:
        """Return the SHA-256 of all, and the chunks that are not as they arrived."""
        digest, damaged = hashlib.sha256(), []
        for number in range(self.count):
            offset, length = self.span(number)
            data = os.pread(self._descriptor, length, offset)
            digest.update(data)
            if zlib.crc32(data) != self._checksums[number]:
                damaged.append(number)
            elif number not in self._right:
                self._right.add(number)
                progress.verified(length)
        return digest.hexdigest(), damaged

    def forget(self, numbers: Collection[int]) -> None:
        """Count chunks as not arrived."""
        for number in numbers:
            del self._checksums[number]
        self._write_journal()

    def finish(self, path: Path) -> None:
        """Rename the file to `path`, once it is safely on the disk."""
        with self.file.open("rb") as file:
            os.fsync(file.fileno())
        self.file.replace(path)
        self.journal.unlink()

    def _line(self, number: int) -> str:
        return f"{number} {self._checksums[number]:08x}\n"

    def _write_journal(self) -> None:
        lines = [json.dumps(self._about) + "\n", *map(self._line, sorted(self._checksums))]
        write_text("".join(lines), self.journal)

    def _read_journal(self) -> dict[int, int]:
        """Return the checksums of the chunks that have arrived, by their numbers."""
        try:
            about, *lines = self.journal.read_text(encoding="ascii", errors="replace").split("\n")
            if not _is_of(about, self._about) or self.file.stat().st_size != self.size:
                return {}
        except FileNotFoundError:
            return {}
        # The last line may be incomplete, and what a crash left of the file may be anything.
        found = [re.fullmatch(r"(\d{1,9}) ([0-9a-f]{8})", line) for line in lines[:-1]]
        pairs = [(int(one[1]), int(one[2], 16)) for one in found if one]
        return {number: checksum for number, checksum in pairs if number < self.count}


def _is_of(line: str, about: dict[str, Any]) -> bool:
    """Return whether the first line of a journal says that it is of the same file."""
    try:
        found = json.loads(line)
    except ValueError:
        return False
    if about["sha256"] is None and isinstance(found, dict):
        found = found | {"sha256": None}
    return bool(found == about)


def _complete(
    remote: RemoteFile, part: _Part, expected: str, progress: Progress, connections: int
) -> str:
    """Fetch what is missing of `part` until all of it is right; return its SHA-256."""
    part.open()
    try:
        refetched = False
        for _ in range(ROUNDS):
            _fetch_missing(remote, part, connections)
            digest, damaged = part.verify(progress)
            if digest.startswith(expected):
                return digest
            if damaged:
                log.warning("%s: chunks damaged on the disk: %d", part.file, len(damaged))
                part.forget(damaged)
            else:
                part.forget(range(part.count))
                if refetched:
                    break
                log.warning("%s has another SHA-256: fetched once more", part.file)
                refetched = True
    finally:
        part.close()
        missing = len(part.missing())
        if missing == part.count:  # what has arrived is of no use
            part.file.unlink(missing_ok=True)
            part.journal.unlink(missing_ok=True)
        elif missing:
            kept = part.count - missing
            log.info("%s keeps %d of %d chunks for the next run", part.file, kept, part.count)
    if damaged:
        raise GenspotError(
            f"{part.file} does not keep what is written to it: check the disk, or choose another"
        )
    raise GenspotError(
        f"{remote.url} has the SHA-256 {digest}, also when fetched once more; expected is "
        f"{expected}: the server has another file, or the connection changes it"
    )


def _fetch_missing(remote: RemoteFile, part: _Part, connections: int) -> None:
    def fetch(number: int) -> None:
        part.write(number, remote.read(*part.span(number)))

    with map_ahead(fetch, part.missing(), connections, remote.client.cancel) as fetched:
        for _ in fetched:
            pass


def _sha256(path: Path) -> str:
    if path.stat().st_size >= LARGE:
        log.info("reading %s once for its SHA-256", path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _remembered(path: Path) -> str | None:
    """Return the SHA-256 that `path` had when its size and time were as they are now."""
    try:
        content = read_json(_beside(path, RECORD))
    except (OSError, ValueError):
        return None
    known = isinstance(content, dict) and content | _state(path) == content
    return str(content.get("sha256")) if known else None


def _remember(path: Path, digest: str) -> None:
    if path.stat().st_size < LARGE:
        return
    try:
        write_json({**_state(path), "sha256": digest}, _beside(path, RECORD))
    except OSError as error:  # a folder that others fill; it is hashed each time
        log.info("%s cannot be written (%s)", _beside(path, RECORD), error)


def _state(path: Path) -> dict[str, Any]:
    found = path.stat()
    return {"bytes": found.st_size, "mtime_ns": found.st_mtime_ns}
