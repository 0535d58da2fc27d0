"""Archives in the form of the published ones, and hostile ones, written from the formats' texts.

ZIP: APPNOTE.TXT 6.3.9 of PKWARE. 7z: 7zFormat.txt of 7-Zip.
"""

from __future__ import annotations

import io
import itertools
import shutil
import stat
import struct
import subprocess
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from helpers.image_bytes import make_gradients

STORED, DEFLATED = 0, 8
FILE_MODE, FOLDER_MODE, LINK_MODE = (
    stat.S_IFREG | 0o644,
    stat.S_IFDIR | 0o755,
    stat.S_IFLNK | 0o777,
)
SEVEN_ZIP = shutil.which("7zz") or shutil.which("7z")
TIMES = struct.pack("<HHBl", 0x5455, 5, 3, 1_700_000_000)  # as Info-ZIP's zip adds


@dataclass(frozen=True)
class Entry:
    """A member as it is written; what is None is true of `data`.

    Attributes:
        crc, size, compressed: as both headers state them.
        local_name: in the local header; None: `name`.
        offset: of the local header, as the directory states it.
        descriptor: whether CRC and sizes follow the content and the local header has zeros.
        gap: bytes before the local header that belong to no member.
    """

    name: str
    data: bytes = b""
    method: int = STORED
    mode: int = FILE_MODE
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    compressed: int | None = None
    local_name: str | None = None
    offset: int | None = None
    descriptor: bool = False
    gap: bytes = b""

    @property
    def content(self) -> bytes:
        """`data` as it is stored."""
        if self.method != DEFLATED:
            return self.data
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()


def zip_bytes(
    members: Mapping[str, bytes] | Iterable[Entry],
    method: int = DEFLATED,
    zip64: bool = True,
    folders: bool = True,
    count: int | None = None,
    comment: bytes = b"",
) -> bytes:
    """Return a ZIP file.

    Args:
        members: contents by name, or entries that are written as they are.
        method: of contents by name: STORED or DEFLATED.
        zip64: every size, offset and count is in a ZIP64 record, as if it were above 4 GB.
        folders: contents by name get entries of their folders, as `zip -r` writes them.
        count: of entries, as the end record states it; None: the right one.
        comment: of the file.
    """
    entries = named_entries(members, method, folders) if isinstance(members, Mapping) else members
    body, directory, written = bytearray(), bytearray(), 0
    for entry in entries:
        body += entry.gap
        directory += _central_header(entry, len(body), zip64)
        body += _local_header(entry, zip64) + entry.content
        if entry.descriptor:
            sizes = (len(entry.content), len(entry.data))
            body += struct.pack("<LLQQ" if zip64 else "<LLLL", 0x08074B50, _crc(entry), *sizes)
        written += 1
    count = written if count is None else count
    return bytes(body + directory) + _end(count, len(directory), len(body), zip64, comment)


def named_entries(members: Mapping[str, bytes], method: int, folders: bool) -> list[Entry]:
    """Return the entries of contents by name, with those of their folders before them."""
    entries: dict[str, Entry] = {}
    for name, data in members.items():
        parts = name.split("/")[:-1] if folders else []
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth]) + "/"
            entries.setdefault(folder, Entry(folder, mode=FOLDER_MODE))
        entries[name] = Entry(name, data, method)
    return list(entries.values())


def _crc(entry: Entry) -> int:
    return zlib.crc32(entry.data) if entry.crc is None else entry.crc


def _numbers(entry: Entry) -> tuple[int, int]:
    """Return the stated sizes: compressed, uncompressed."""
    compressed = len(entry.content) if entry.compressed is None else entry.compressed
    return compressed, len(entry.data) if entry.size is None else entry.size


def _common(entry: Entry, zip64: bool, local: bool) -> bytes:
    """Return the fields that both headers share, without the lengths of name and extra."""
    flags = entry.flags | (8 if entry.descriptor else 0) | (0 if entry.name.isascii() else 0x800)
    hidden = local and entry.descriptor
    compressed, size = (0, 0) if hidden else _numbers(entry)
    if zip64:
        compressed = size = 0xFFFFFFFF
    needed = 45 if zip64 else 20
    crc = 0 if hidden else _crc(entry)
    date = 43 << 9 | 1 << 5 | 1  # 1 January 2023
    fields = (needed, flags, entry.method, 0, date, crc, compressed, size)
    return struct.pack("<HHHHHLLL", *fields)


def _local_header(entry: Entry, zip64: bool) -> bytes:
    compressed, size = (0, 0) if entry.descriptor else _numbers(entry)
    extra = struct.pack("<HHQQ", 1, 16, size, compressed) if zip64 else b""
    extra += TIMES
    name = (entry.name if entry.local_name is None else entry.local_name).encode()
    return (
        b"PK\3\4" + _common(entry, zip64, True) + struct.pack("<HH", len(name), len(extra))
    ) + (name + extra)


def _central_header(entry: Entry, position: int, zip64: bool) -> bytes:
    offset = position if entry.offset is None else entry.offset
    compressed, size = _numbers(entry)
    extra = struct.pack("<HHQQQ", 1, 24, size, compressed, offset) if zip64 else b""
    name = entry.name.encode()
    made_by = 3 << 8 | 30  # Unix
    lengths = (len(name), len(extra), 0, 0, 0)
    end = struct.pack("<HHHHHLL", *lengths, entry.mode << 16, 0xFFFFFFFF if zip64 else offset)
    return (
        b"PK\1\2" + struct.pack("<H", made_by) + _common(entry, zip64, False) + end + name + extra
    )


def _end(count: int, size: int, offset: int, zip64: bool, comment: bytes) -> bytes:
    """Return the end record, with the two ZIP64 records before it."""
    if not zip64:
        record = struct.pack("<HHHHLLH", 0, 0, count, count, size, offset, len(comment))
        return b"PK\5\6" + record + comment
    fields = (44, 3 << 8 | 45, 45, 0, 0, count, count, size, offset)
    large = b"PK\6\6" + struct.pack("<QHHLLQQQQ", *fields)
    locator = b"PK\6\7" + struct.pack("<LQL", 0, offset + size, 1)
    small = (0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(comment))
    return large + locator + b"PK\5\6" + struct.pack("<HHHHLLH", *small) + comment


def seven_zip_bytes(content: bytes, name: str = "progan_train.zip") -> bytes:
    """Return a 7z archive that stores `content` uncompressed as its one file."""
    size, crc = _number(len(content)), struct.pack("<L", zlib.crc32(content))
    packed = b"\x06" + _number(0) + _number(1) + b"\x09" + size + b"\x00"
    copy_coder = b"\x01\x01\x00"  # one coder, whose id has one byte: 0, copy
    folder = b"\x07\x0b\x01\x00" + copy_coder + b"\x0c" + size + b"\x00"
    streams = b"\x08\x0a\x01" + crc + b"\x00"
    names = b"\x00" + name.encode("utf-16-le") + b"\x00\x00"
    files = b"\x05\x01\x11" + _number(len(names)) + names + b"\x00"
    header = b"\x01\x04" + packed + folder + streams + b"\x00" + files + b"\x00"
    return seven_zip_start(len(content), header) + content + header


def seven_zip_start(offset: int, header: bytes) -> bytes:
    """Return the first 32 bytes of a 7z archive whose `header` is `offset` bytes after them."""
    start = struct.pack("<QQL", offset, len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + struct.pack("<L", zlib.crc32(start)) + start


def _number(value: int) -> bytes:
    """Return a number of the 7z format: its first byte's leading ones count those that follow."""
    for more in range(8):
        if value < 1 << 7 * (more + 1):
            first = (0xFF00 >> more & 0xFF) | value >> 8 * more
            return bytes([first]) + (value & (1 << 8 * more) - 1).to_bytes(more, "little")
    return b"\xff" + value.to_bytes(8, "little")


def cut(content: bytes, name: str, count: int = 7) -> dict[str, bytes]:
    """Return `content` as `count` volumes of unequal sizes: NAME.001 and so on.

    The first has fewer than 32 bytes, so that even the start is on a border.
    """
    weights = range(1, count)
    rest = len(content) - 20
    borders = [0, 20] + [20 + rest * sum(weights[:n]) // sum(weights) for n in range(1, count)]
    assert len(set(borders)) == count + 1, f"{len(content)} bytes are too few"
    return {
        f"{name}.{number:03d}": content[start:end]
        for number, (start, end) in enumerate(itertools.pairwise(borders), start=1)
    }


def training_volumes(members: Mapping[str, bytes], method: int = STORED) -> dict[str, bytes]:
    """Return the seven volumes progan_train.7z.001 to .007 around a ZIP64 file of `members`."""
    return cut(seven_zip_bytes(zip_bytes(members, method)), "progan_train.7z")


def seven_zip_volumes(content: bytes, folder: Path, sizes: Sequence[int]) -> dict[str, bytes]:
    """Return the volumes that 7-Zip makes, of `sizes` bytes; the last size repeats.

    Args:
        content: of progan_train.zip, which 7-Zip stores without compression.
        folder: of temporary files, new or empty.
    """
    assert SEVEN_ZIP is not None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "progan_train.zip").write_bytes(content)
    command = [SEVEN_ZIP, "a", "-mx=0", *(f"-v{size}b" for size in sizes), "progan_train.7z"]
    subprocess.run(
        [*command, "progan_train.zip"], cwd=folder, check=True, capture_output=True, timeout=60
    )
    return {path.name: path.read_bytes() for path in sorted(folder.glob("progan_train.7z.*"))}


def label_folder_images(
    folders: Iterable[str], count: int = 4, side: int = 40, ending: str = "png"
) -> dict[str, bytes]:
    """Return encoded images by name: FOLDER/0_real/00000.png and so on, all different.

    Args:
        folders: classes, or generators with or without a class: "cat", "stylegan/cat".
        count: of images in each label folder.
        side: in pixels.
        ending: of the names; it decides the format.
    """
    members = {}
    for folder in folders:
        for label in ("0_real", "1_fake"):
            for number in range(count):
                name = f"{folder}/{label}/{number:05d}.{ending}"
                pixels = make_gradients(side, side, seed=zlib.crc32(name.encode()))
                if label == "1_fake":
                    pixels = pixels[::2, ::2].repeat(2, 0).repeat(2, 1)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, Image.registered_extensions()[f".{ending}"])
                members[name] = file.getvalue()
    return members
