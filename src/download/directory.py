"""The directory of a ZIP file: which files it holds and where, each of them accepted.

Source of the format: APPNOTE.TXT 6.3.9 of PKWARE; `zipfile` reads it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import stat
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genspot.common.containers import member_name
from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
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
TAIL = 64 * 1024  # bytes at the end, by which the directory of the same archive is known again
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags
# Control characters, backslashes, drive letters, and parts that are empty or dots.
REFUSED_NAME = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Directory:
    """Files of a ZIP file in the order of their offsets.

    Attributes:
        title: of the archive, for messages.
        table: one row a file, of `SCHEMA`.
    """

    title: str
    table: pa.Table

    def __len__(self) -> int:
        """The number of files."""
        return self.table.num_rows

    @property
    def size(self) -> int:
        """The number of bytes of all contents."""
        return pc.sum(self.table["size"]).as_py() or 0

    @property
    def stored(self) -> int:
        """The number of bytes that the files take in the archive, with their headers."""
        return pc.sum(pc.subtract(self.table["end"], self.table["offset"])).as_py() or 0

    def select(self, folders: Iterable[str]) -> Directory:
        """Return the files below `folders`, such as "cat" or "stylegan/car".

        Raises:
            GenspotError: one of them holds no file; the line says which there are.
        """
        names = self.table["name"].combine_chunks()
        chosen = pa.array(np.zeros(len(names), bool))
        for folder in folders:
            below = pc.starts_with(names, f"{folder}/")
            if not pc.any(below).as_py():
                raise GenspotError(
                    f"{self.title} holds no file below {safe_repr(folder)}/; it holds: "
                    f"{safe_repr(self._folders_beside(folder), 1000)}"
                )
            chosen = pc.or_(chosen, below)
        return Directory(self.title, self.table.filter(chosen))

    def by_folder(self) -> dict[str, Directory]:
        """Return the files of each folder that holds some, by its name: "cat/0_real"."""
        parents = pc.replace_substring_regex(self.table["name"], r"/?[^/]*$", "")
        encoded = parents.combine_chunks().dictionary_encode()
        folders, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        table = self.table.take(np.argsort(codes, kind="stable"))
        counts = np.bincount(codes, minlength=len(folders)).tolist()
        parts, start = {}, 0
        for folder, count in zip(folders, counts, strict=True):
            parts[folder] = Directory(self.title, table.slice(start, count))
            start += count
        return parts

    def _folders_beside(self, folder: str) -> str:
        """Return the folders of the depth of `folder`, sorted."""
        depth = folder.count("/") + 1
        parts = (name.split("/")[:-1] for name in self.table["name"].to_pylist())
        found = sorted({"/".join(part[:depth]) for part in parts})
        return ", ".join(found) or "nothing"


class _Bounded:
    """A source whose last bytes are kept, and of which no more is read at once than allowed."""

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
            raise GenspotError(
                f"{self.title}: its directory is said to have {length:,} bytes; accepted are "
                f"{MOST_DIRECTORY:,}"
            )
        return self.source.read(offset, length)


def read_directory(source: ByteSource, cache: Path, title: str) -> Directory:
    """Return all files of a ZIP file.

    Names that lead out of the folder, links, encrypted members, other methods than stored and
    deflated, members that overlap and two of one place are refused with the whole archive.

    Args:
        source: the ZIP file.
        cache: folder in which the directory is kept for the next time.
        title: of the archive, for messages.

    Raises:
        GenspotError: it is no ZIP file, is damaged, or has a member that is not accepted.
    """
    bounded = _Bounded(source, title)
    digest = hashlib.sha256(b"%d " % source.size + bounded.tail).hexdigest()
    kept = cache / f"directory-{digest[:16]}.parquet"
    table = _read_kept(kept)
    if table is None:
        table = _read_table(bounded, title)
        _keep(table, kept)
    return Directory(title, table)


def _read_kept(path: Path) -> pa.Table | None:
    """Return the table that was kept at `path`, or None: there is none, or it is damaged."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return None
    return table if table.schema.equals(SCHEMA) else None


def _keep(table: pa.Table, path: Path) -> None:
    """Write `table` to `path`; if that fails, the directory is read from the archive again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial, partial.open("wb") as file:
            pq.write_table(table, file, write_page_checksum=True)
    except OSError as error:
        logger.warning("The directory of the archive is not kept: %s", error)


def _read_table(source: _Bounded, title: str) -> pa.Table:
    """Return the accepted files of the ZIP file."""
    try:
        with zipfile.ZipFile(SourceFile(source)) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            start, comment = archive.start_dir, archive.comment
        stated = _stated_count(source, len(comment))
    except GenspotError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise GenspotError(
            f"{title}: the directory of the ZIP file is damaged: {printable(str(error))}"
        ) from None
    if stated != len(infos):
        raise GenspotError(
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
            raise GenspotError(f"{title}: member {safe_repr(name)} is not accepted: {fault}")
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


def _stated_count(source: _Bounded, comment: int) -> int:
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
    places: set[str] = set()
    folders: set[str] = set()
    for name in names:
        if name in places:
            raise GenspotError(f"{title}: two members have the name {safe_repr(name)}")
        places.add(name)
        while (name := name.rpartition("/")[0]) and name not in folders:
            folders.add(name)
    if both := sorted(places & folders):
        raise GenspotError(f"{title}: {safe_repr(both[0])} is both a file and a folder")
