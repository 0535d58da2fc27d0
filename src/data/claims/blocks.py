"""The blocks of metadata in image files, found without decoding pixels.

Sizes in a file are not believed: a block is read up to `MAX_BLOCK` bytes, of `MAX_TOTAL` together.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO

MAX_BLOCK = 2**20  # bytes of one block, also when decompressed
MAX_TOTAL = 2**23  # bytes of all blocks of a file
MAX_COUNT = 200_000  # blocks that are passed over: pixels lie in blocks too

XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
XMP_IN_PNG = "XML:com.adobe.xmp"
EXIF = b"Exif\0\0"
# ISO base media files (AVIF): the type of the box with a C2PA manifest (C2PA 2.4, A.5.1.1).
C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass
class Blocks:
    """What `find_blocks` found.

    Attributes:
        format: JPEG, PNG, WEBP, AVIF or TIFF; empty for others, of which nothing is read.
        texts: keys and texts of PNG.
        exif: as a TIFF file, without the leading "Exif".
        xmp: XML.
        has_c2pa: a C2PA manifest is there.
        notes: what was left out, and why.
    """

    format: str = ""
    texts: list[tuple[str, str]] = field(default_factory=list)
    exif: bytes = b""
    xmp: bytes = b""
    has_c2pa: bool = False
    notes: list[str] = field(default_factory=list)
    total: int = 0


def find_blocks(file: BinaryIO) -> Blocks:
    """Return the blocks of metadata of an image file; of AVIF and TIFF not EXIF and XMP.

    These formats do not keep them in one piece. Of TIFF, the format alone is returned.
    """
    head = file.read(12)
    blocks = Blocks()
    for name, matches, read in (
        ("JPEG", head.startswith(b"\xff\xd8\xff"), _read_jpeg),
        ("PNG", head.startswith(b"\x89PNG\r\n\x1a\n"), _read_png),
        ("WEBP", head[:4] == b"RIFF" and head[8:] == b"WEBP", _read_webp),
        ("AVIF", head[4:8] == b"ftyp", _read_boxes),
        ("TIFF", head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), None),
    ):
        if matches:
            blocks.format = name
            if read:
                read(file, blocks)
            break
    return blocks


def _take(file: BinaryIO, size: int, blocks: Blocks, name: str) -> bytes | None:
    """Return the next `size` bytes, or None after passing over a block that is too large."""
    if size > MAX_BLOCK or blocks.total + size > MAX_TOTAL:
        file.seek(size, os.SEEK_CUR)
        blocks.notes.append(f"{name} of {size} bytes was not read: it is too large")
        return None
    blocks.total += size
    return file.read(size)


def _read_jpeg(file: BinaryIO, blocks: Blocks) -> None:
    """Read the segments before the pixels: ITU-T T.81, annex B."""
    file.seek(2)
    for _ in range(MAX_COUNT):
        marker = file.read(2)
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (0xD9, 0xDA):
            return
        if marker[1] == 0xFF:  # a fill byte
            file.seek(-1, os.SEEK_CUR)
            continue
        if marker[1] == 0x01 or 0xD0 <= marker[1] <= 0xD8:  # without a body
            continue
        size = int.from_bytes(file.read(2), "big") - 2
        if size < 0:
            return
        if marker[1] not in (0xE1, 0xEB):
            file.seek(size, os.SEEK_CUR)
        elif (body := _take(file, size, blocks, "a segment")) is not None:
            _keep_segment(body, blocks)
    _stopped(blocks)


def _keep_segment(body: bytes, blocks: Blocks) -> None:
    if body.startswith(EXIF):
        blocks.exif = blocks.exif or body[len(EXIF) :]
    elif body.startswith(XMP_IN_JPEG):
        blocks.xmp = blocks.xmp or body[len(XMP_IN_JPEG) :]
    elif body.startswith(b"JP") and b"jumb" in body[:24] and b"c2pa" in body[:64]:
        blocks.has_c2pa = True


def _read_png(file: BinaryIO, blocks: Blocks) -> None:
    """Read the chunks, also those after the pixels."""
    file.seek(8)
    for _ in range(MAX_COUNT):
        head = file.read(8)
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or name == b"IEND" or size >= 2**31:
            return
        if name == b"caBX":
            blocks.has_c2pa = True
        if name not in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            file.seek(size + 4, os.SEEK_CUR)
            continue
        body = _take(file, size, blocks, f"PNG {name.decode()}")
        file.seek(4, os.SEEK_CUR)  # the checksum
        if body is not None and name == b"eXIf":
            blocks.exif = blocks.exif or body.removeprefix(EXIF)
        elif body is not None:
            _keep_text(name, body, blocks)
    _stopped(blocks)


def _keep_text(name: bytes, body: bytes, blocks: Blocks) -> None:
    """Keep the key and text of a chunk: PNG, third edition, 11.3.3."""
    key, _, rest = body.partition(b"\0")
    encoding = "latin-1"
    packed = name == b"zTXt"
    if packed:
        rest = rest[1:]  # the method
    elif name == b"iTXt":
        packed, rest, encoding = rest[:1] == b"\x01", rest[2:], "utf-8"
        rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # the language, the translated key
    title = key.decode("latin-1")
    if packed:
        rest = _decompress(rest, title, blocks)
    if title == XMP_IN_PNG:
        blocks.xmp = blocks.xmp or rest
    else:
        blocks.texts.append((title, rest.decode(encoding, "replace")))


def _decompress(data: bytes, title: str, blocks: Blocks) -> bytes:
    decoder = zlib.decompressobj()
    try:
        text = decoder.decompress(data, min(MAX_BLOCK, MAX_TOTAL - blocks.total))
    except zlib.error as error:
        blocks.notes.append(f"PNG text {title} could not be decompressed: {error}")
        return b""
    blocks.total += len(text)
    if decoder.unconsumed_tail:
        blocks.notes.append(f"PNG text {title} is too large: its end was not read")
    return text


def _read_webp(file: BinaryIO, blocks: Blocks) -> None:
    """Read the chunks of RIFF."""
    for _ in range(MAX_COUNT):
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], int.from_bytes(head[4:], "little")
        blocks.has_c2pa |= name == b"C2PA"
        if name not in (b"EXIF", b"XMP "):
            file.seek(size + size % 2, os.SEEK_CUR)
            continue
        body = _take(file, size, blocks, f"WebP {name.decode().strip()}")
        file.seek(size % 2, os.SEEK_CUR)
        if body is not None and name == b"EXIF":
            blocks.exif = blocks.exif or body.removeprefix(EXIF)
        elif body is not None:
            blocks.xmp = blocks.xmp or body
    _stopped(blocks)


def _read_boxes(file: BinaryIO, blocks: Blocks) -> None:
    """Look for C2PA among the outermost boxes: ISO/IEC 14496-12, 4.2."""
    file.seek(0)
    for _ in range(MAX_COUNT):
        head = file.read(8)
        size, used = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, used = int.from_bytes(file.read(8), "big"), 16
        if head[4:] == b"uuid":
            blocks.has_c2pa |= file.read(16) == C2PA_BOX
            used += 16
        if len(head) < 8 or not used <= size < 2**62:  # 0: to the end of the file
            return
        file.seek(size - used, os.SEEK_CUR)
    _stopped(blocks)


def _stopped(blocks: Blocks) -> None:
    blocks.notes.append(f"what follows the first {MAX_COUNT} blocks was not read")
