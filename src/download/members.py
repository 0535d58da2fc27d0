"""The members of a ZIP file by ranges of its bytes, each verified.

Source of the format: APPNOTE.TXT 6.3.9 of PKWARE, local file headers.
"""

from __future__ import annotations

import logging
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from genspot.common.text import safe_repr
from genspot.download.directory import Directory
from genspot.download.entries import DamagedError
from genspot.download.source import ByteSource

LIMIT = 4 * 2**20  # bytes of a batch; a killed process loses at most one for each thread
GAP = 256 * 1024  # bytes between two members that are read rather than asked for apart
# Signature, version, flags, method, time, date, CRC, sizes, lengths of the name and extra field.
HEADER = struct.Struct("<4s5H3L2H")
SIZES_FOLLOW = 8  # flag: CRC and sizes are behind the content
IN_EXTRA = 0xFFFFFFFF  # a size that is in the extra field of ZIP64
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Members whose bytes are read at once.

    Attributes:
        offset: of the first byte in the ZIP file.
        length: in bytes, that of what lies between the members included.
        directory: the members.
    """

    offset: int
    length: int
    directory: Directory


class Member(NamedTuple):
    """A file and its verified content."""

    name: str
    data: bytes


class _Row(NamedTuple):
    """A row of the directory; its columns are described there."""

    name: str
    offset: int
    end: int
    compressed: int
    size: int
    crc: int
    method: int


def batches(directory: Directory, limit: int = LIMIT) -> Iterator[Batch]:
    """Yield all members in batches, by their offsets.

    A batch reads at most `limit` bytes and holds at most `limit` of content, except where a
    single member is larger.
    """
    table = directory.table
    starts, ends, sizes = (table[name].to_numpy() for name in ("offset", "end", "size"))
    contents = np.cumsum(sizes) - sizes  # bytes of the contents before each
    first = 0
    for row in range(1, len(table) + 1):
        if row < len(table):
            is_near = 0 <= starts[row] - ends[row - 1] <= GAP
            is_small = ends[row] - starts[first] <= limit
            if is_near and is_small and contents[row] + sizes[row] - contents[first] <= limit:
                continue
        part = replace(directory, table=table.slice(first, row - first))
        yield Batch(int(starts[first]), int(ends[row - 1] - starts[first]), part)
        first = row


def read_batch(source: ByteSource, batch: Batch) -> Iterator[Member]:
    """Yield the members of a batch, one at a time: so each is freed before the next is made.

    The local header of each is compared with the directory, and its content's length and CRC-32.
    If something differs, the batch is read once more; if it differs again, the directory that is
    kept is removed, since the fault may be there.

    Raises:
        GenspotError: a member differs again, or the bytes cannot be had.
    """
    rows = list(map(_Row, *(column.to_pylist() for column in batch.directory.table.columns)))
    yielded = 0
    try:
        for member in _members(source, batch, rows):
            yield member
            yielded += 1
        return
    except DamagedError as error:
        logger.warning("%s. These %s bytes are read once more.", error, f"{batch.length:,}")
    try:
        yield from _members(source, batch, rows[yielded:])
    except DamagedError:
        batch.directory.forget()  # the fault may be in the directory
        raise


def _members(source: ByteSource, batch: Batch, rows: list[_Row]) -> Iterator[Member]:
    """Read the bytes of a batch and yield those of its members that `rows` are."""
    view = memoryview(source.read(batch.offset, batch.length))
    for row in rows:
        part = view[row.offset - batch.offset : row.end - batch.offset]
        try:
            content = _content(part, row)
        except zlib.error as error:
            raise _damaged(batch, row, f"it cannot be decompressed ({error})") from None
        except DamagedError as error:
            raise _damaged(batch, row, str(error)) from None
        yield Member(row.name, content)


def _damaged(batch: Batch, row: _Row, reason: str) -> DamagedError:
    where = f"member {safe_repr(row.name)} at byte {row.offset:,}"
    return DamagedError(f"{batch.directory.title}: {where} is damaged: {reason}")


def _content(part: memoryview, row: _Row) -> bytes:
    """Return the verified content of the member whose header begins `part`."""
    stored = part[_content_start(part, row) :][: row.compressed]
    if len(stored) != row.compressed:
        raise DamagedError("its content reaches into what follows it")
    if row.method == zipfile.ZIP_STORED:
        content = bytes(stored)
    else:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        content = inflate.decompress(stored, row.size + 1)  # bounds what a wrong size may take
        if not inflate.eof or inflate.unused_data or len(content) != row.size:
            raise DamagedError(f"it does not decompress to {row.size:,} bytes")
    if (crc := zlib.crc32(content)) != row.crc:
        raise DamagedError(f"its CRC-32 is {crc:08x}, expected is {row.crc:08x}")
    return content


def _content_start(part: memoryview, row: _Row) -> int:
    """Return where the content begins, after comparing the local header with the directory."""
    if len(part) < HEADER.size:
        raise DamagedError("no header is there")
    fields = HEADER.unpack_from(part)
    signature, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = fields
    name = bytes(part[HEADER.size : HEADER.size + name_length])
    is_same = signature == b"PK\3\4" and method == row.method and _decode(name) == row.name
    if not flags & SIZES_FOLLOW:
        is_same = is_same and crc == row.crc
        is_same = is_same and compressed in (row.compressed, IN_EXTRA)
        is_same = is_same and size in (row.size, IN_EXTRA)
    if not is_same:
        raise DamagedError("its header differs from the directory of the ZIP file")
    return HEADER.size + int(name_length) + int(extra_length)


def _decode(name: bytes) -> str:
    """Return a name as `member_name` does."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("cp437")
