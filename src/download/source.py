"""Bytes that are read at any offset: a local file, a remote one, several joined, a part of one."""

from __future__ import annotations

import bisect
import io
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from genspot.common.errors import GenspotError


class ByteSource(Protocol):
    """A fixed sequence of bytes; `read` may be called by several threads at once."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`, both within the source.

        Raises:
            GenspotError: they cannot be had.
        """


class LocalFile:
    """A file on the disk.

    Raises:
        GenspotError: it has another size than `size`.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = os.open(path, os.O_RDONLY)
        found = os.fstat(self._descriptor).st_size
        if found != size:
            self.close()
            raise GenspotError(f"{path} has {found:,} bytes, expected are {size:,}")

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes; see `ByteSource.read`.

        Raises:
            OSError: the disk does not give them; its `filename` is set.
        """
        parts = []
        while length:
            try:
                part = os.pread(self._descriptor, length, offset)  # at most 2 GB at once
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from error
            if not part:
                raise GenspotError(f"{self.path} ended before byte {offset + length:,}")
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Volumes:
    """Several sources, one after another, as one."""

    def __init__(self, parts: Sequence[ByteSource]) -> None:
        self.parts = list(parts)
        self.ends = list(itertools.accumulate(part.size for part in parts))
        self.size = self.ends[-1]

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes; see `ByteSource.read`."""
        read = []
        while length:
            number = bisect.bisect_right(self.ends, offset)
            part = self.parts[number]
            start = offset - (self.ends[number] - part.size)
            here = min(length, part.size - start)
            read.append(part.read(start, here))
            offset += here
            length -= here
        return b"".join(read)


class Window:
    """The `size` bytes of a source from `offset` on, as a source."""

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        self.source = source
        self.offset = offset
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes; see `ByteSource.read`."""
        return self.source.read(self.offset + offset, length)


class SourceFile(io.RawIOBase):
    """A source as a read-only file with a position, as `zipfile` wants it."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self.source = source
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.source.size}[whence]
        if base + offset < 0:
            raise OSError(22, "negative position")
        self.position = base + offset
        return self.position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self.source.size - self.position)
        count = left if size < 0 else min(size, left)
        data = self.source.read(self.position, count) if count else b""
        self.position += count
        return data
