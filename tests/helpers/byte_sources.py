"""Bytes in memory that are read at any offset, with a record of the reads."""

from __future__ import annotations


class MemorySource:
    """A source of `content`, whose first `damaged` reads have a bit changed in their middle.

    Attributes:
        reads: offset and length of each.
    """

    def __init__(self, content: bytes, damaged: int = 0) -> None:
        self.content = content
        self.size = len(content)
        self.damaged = damaged
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes; see `ByteSource.read`."""
        assert 0 <= offset <= offset + length <= self.size, f"{offset} + {length} of {self.size}"
        self.reads.append((offset, length))
        data = self.content[offset : offset + length]
        if len(self.reads) <= self.damaged:
            middle = length // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        return data
