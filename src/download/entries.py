"""The entries of a ZIP file's directory, each of them accepted.

Source of the format: APPNOTE.TXT 6.3.9 of PKWARE; `zipfile` reads it.
"""

from __future__ import annotations

import itertools
import re
import stat
import struct
import zipfile
from collections.abc import Iterable

import pyarrow as pa

from genspot.common.containers import member_name
from genspot.common.errors import GenspotError
from genspot.common.text import printable, safe_repr
from genspot.download.source import ByteSource, SourceFile

SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # with slashes, below the root
        ("offset", pa.int64()),  # of the local header
        ("end", pa.int64()),  # its content ends here or before
        ("compressed", pa.int64()),  # bytes
        ("size", pa.int64()),  # bytes of the content
        ("crc", pa.uint32()),  # CRC-32 of the content
        ("method", pa.uint8()),  # 0: stored, 8: deflated
    ]
)
LOCAL_HEADER = 30  # bytes, without name and extra field
END_RECORD = struct.Struct("<4s4H2LH")
# The end record of ZIP64, of which the count of entries is taken, and its locator.
LARGE_END = struct.Struct("<4s28xQ16x20x")
MOST_AROUND = LOCAL_HEADER + 2 * 0xFFFF + 24  # header, name, extra field, data descriptor
MOST_MEMBER = 256 * 2**20  # bytes; it is held in memory
MOST_DIRECTORY = 256 * 2**20  # bytes, of which 720,119 published members take about 80 MB
TAIL = 64 * 1024  # bytes at the end, which are read at once: the records of the end are there
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags
# Control characters, backslashes, drive letters, and parts that are empty or dots.
REFUSED_NAME = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)")


class DamagedError(GenspotError):
    """Bytes that were read are not what they should be; they may be right if read once more."""


class EndFirst:
    """A source whose last bytes are read first and kept.

    Attributes:
        tail: the last `TAIL` bytes, or all.

    Raises:
        DamagedError: by `read`, of more bytes than any directory has.
    """

    def __init__(self, source: ByteSource, title: str) -> None:
        self.source = source
        self.title = title
        self.size = source.size
        self.tail_start = max(0, source.size - TAIL)
        self.tail = source.read(self.tail_start, source.size - self.tail_start)

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes; see `ByteSource.read`."""
        if offset >= self.tail_start:
            start = offset - self.tail_start
            return self.tail[start : start + length]
        if length > MOST_DIRECTORY:
            raise DamagedError(
                f"{self.title}: its directory is said to have {length:,} bytes; accepted are "
                f"{MOST_DIRECTORY:,}"
            )
        return self.source.read(offset, length)


def read_entries(source: EndFirst, title: str) -> pa.Table:
    """Return the files of a ZIP file as a table of `SCHEMA`, sorted by offset.

    Raises:
        DamagedError: it is no ZIP file, is damaged, or has a member that is not accepted.
        GenspotError: the bytes cannot be had.
    """
    try:
        with zipfile.ZipFile(SourceFile(source)) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            start, comment = archive.start_dir, archive.comment
        stated = _stated_count(source, len(comment))
    except GenspotError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise DamagedError(
            f"{title}: the directory of the ZIP file is damaged: {printable(str(error))}"
        ) from None
    if stated != len(infos):
        raise DamagedError(
            f"{title}: the directory of the ZIP file is damaged: it has {len(infos):,} entries, "
            f"{stated:,} are stated"
        )
    return _accepted(infos, start, title)


def _accepted(infos: list[zipfile.ZipInfo], start: int, title: str) -> pa.Table:
    """Return the files among entries that are sorted by offset; the directory is at `start`."""
    offsets = [info.header_offset for info in infos] + [start]
    names, ends, files = [], [], []
    for info, end in zip(infos, offsets[1:], strict=True):
        name = member_name(info)
        if fault := _fault(info, name, end):
            raise DamagedError(f"{title}: member {safe_repr(name)} is not accepted: {fault}")
        if not name.endswith("/"):
            names.append(name)
            ends.append(min(end, info.header_offset + MOST_AROUND + info.compress_size))
            files.append(info)
    _check_places(names, title)
    columns = (
        names,
        (info.header_offset for info in files),
        ends,
        (info.compress_size for info in files),
        (info.file_size for info in files),
        (info.CRC for info in files),
        (info.compress_type for info in files),
    )
    arrays = [pa.array(values, kind) for values, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def _stated_count(source: EndFirst, comment: int) -> int:
    """Return the number of entries by the end record, which `zipfile` does not compare."""
    position = source.size - comment - END_RECORD.size
    signature, _, _, _, count, _, _, _ = END_RECORD.unpack(source.read(position, END_RECORD.size))
    if signature != b"PK\5\6":
        raise zipfile.BadZipFile("bytes follow its end record")
    large = source.read(max(0, position - LARGE_END.size), LARGE_END.size)
    if count == 0xFFFF and large.startswith(b"PK\6\6"):
        count = LARGE_END.unpack(large)[1]
    return int(count)


def _fault(info: zipfile.ZipInfo, name: str, end: int) -> str | None:
    """Return why an entry, whose bytes end before `end`, is not accepted, or None."""
    if REFUSED_NAME.search(name.removesuffix("/")):
        return "its name does not lead to a place below the folder"
    expected = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
    if stat.S_IFMT(info.external_attr >> 16) not in (0, expected):
        return "it is a link or no regular file"
    if info.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"it is compressed by method {info.compress_type}; stored and deflated are read"
    if max(info.file_size, info.compress_size) > MOST_MEMBER:
        return f"it has {info.file_size:,} bytes; at most {MOST_MEMBER:,} are read"
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        return f"it is stored in {info.compress_size:,} bytes and has {info.file_size:,}"
    content = info.header_offset + LOCAL_HEADER + len(name)  # begins here or later
    if info.header_offset < 0 or content + info.compress_size > end:
        return "its bytes lie outside the archive or in what follows it"
    return None


def _check_places(names: Iterable[str], title: str) -> None:
    """Raise an error if two files have one place, or one is where another's folder is."""
    # With this character for the slash, a name is followed by what is below it.
    for name, following in itertools.pairwise(sorted(name.replace("/", "\0") for name in names)):
        if name == following or following.startswith(name + "\0"):
            what = "are two members" if name == following else "are a file and a folder"
            place = safe_repr(name.replace("\0", "/"))
            raise DamagedError(f"{title}: there {what} of the name {place}")
