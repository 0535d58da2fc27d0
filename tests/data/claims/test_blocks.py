from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest

from genspot.data.claims import blocks
from genspot.data.claims.blocks import find_blocks
from helpers.claims import jpeg_segment, jpeg_with, make_exif, make_xmp, png_with_text, save
from helpers.image_bytes import build_png

XMP = make_xmp('xmp:CreatorTool="x"')
EXIF = make_exif(x10F="Nikon")
FORMATS = ["JPEG", "PNG", "WEBP"]


@pytest.mark.parametrize("kind", FORMATS)
def test_find_blocks_of_what_pil_wrote_returns_exif_and_xmp(kind: str) -> None:
    if kind == "PNG":
        content = png_with_text(**{"XML:com.adobe.xmp": XMP.decode()})
        content = content[:33] + build_png([(b"eXIf", EXIF.tobytes()[6:])])[8:] + content[33:]
    else:
        content = save(kind, exif=EXIF, xmp=XMP)
    found = find_blocks(BytesIO(content))
    assert (found.format, found.xmp, found.notes) == (kind, XMP, [])
    assert found.exif == EXIF.tobytes().removeprefix(b"Exif\0\0")
    assert not found.has_c2pa


@pytest.mark.parametrize("compressed", [False, True])
def test_find_blocks_of_png_returns_latin_and_unicode_text(compressed: bool) -> None:
    texts = {"parameters": "a" * 5000, "Software": "Übung", "Title": "猫"}
    found = find_blocks(BytesIO(png_with_text(compressed, **texts)))
    assert dict(found.texts) == texts


def test_find_blocks_of_png_reads_text_after_the_pixels() -> None:
    pixels = (b"IDAT", zlib.compress(b""))
    content = build_png([(b"IHDR", bytes(13)), pixels, (b"tEXt", b"a\0b"), (b"IEND", b"")])
    content += build_png([(b"tEXt", b"after\0the end")])[8:]
    assert find_blocks(BytesIO(content)).texts == [("a", "b")]


def test_find_blocks_of_a_bomb_reads_a_limited_part_and_says_so() -> None:
    packed = zlib.compress(bytes(50_000_000))
    found = find_blocks(BytesIO(build_png([(b"zTXt", b"key\0\0" + packed)])))
    ((key, text),) = found.texts
    assert (key, len(text)) == ("key", blocks.MAX_BLOCK)
    assert found.notes == ["PNG text key is too large: its end was not read"]


def test_find_blocks_of_many_large_texts_stops_at_the_total() -> None:
    chunk = (b"tEXt", b"k\0" + b"x" * (blocks.MAX_BLOCK - 2))
    content = build_png([chunk] * 12 + [(b"tEXt", b"k\0" + b"x" * blocks.MAX_BLOCK)])
    found = find_blocks(BytesIO(content))
    assert len(found.texts) == blocks.MAX_TOTAL // blocks.MAX_BLOCK
    assert len(found.notes) == 13 - len(found.texts)
    assert "too large" in found.notes[0]


def test_find_blocks_of_a_size_that_is_not_there_returns_what_is() -> None:
    content = build_png([(b"tEXt", b"a\0b")]) + struct.pack(">I", 2**31 - 1) + b"caBX"
    found = find_blocks(BytesIO(content))
    assert (found.texts, found.has_c2pa) == ([("a", "b")], True)


JUMBF = b"JP\0\1\0\0\0\1\0\0\0\x40jumb\0\0\0\x20jumdc2pa" + bytes(40)
BOX = struct.pack(">I", 32) + b"uuid" + blocks.C2PA_BOX + bytes(8)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (jpeg_with(jpeg_segment(0xEB, JUMBF)), True),
        (jpeg_with(jpeg_segment(0xEB, JUMBF.replace(b"c2pa", b"other"))), False),
        (jpeg_with(jpeg_segment(0xE2, JUMBF)), False),
        (build_png([(b"caBX", b"")]), True),
        (b"RIFF\0\0\0\0WEBP" + b"VP8 \1\0\0\0x\0" + b"C2PA\0\0\0\0", True),
        (b"RIFF\0\0\0\0WEBP" + b"VP8 \2\0\0\0C2PA", False),
        (struct.pack(">I", 16) + b"ftypavif" + bytes(4) + BOX, True),
        (struct.pack(">I", 16) + b"ftypavif" + bytes(4) + BOX.replace(b"\x81", b"\x80"), False),
        (struct.pack(">I", 1) + b"ftyp" + struct.pack(">Q", 20) + bytes(4) + BOX, True),
        (struct.pack(">I", 0) + b"ftypavif" + BOX, False),
    ],
)
def test_find_blocks_finds_c2pa_where_it_belongs(content: bytes, expected: bool) -> None:
    assert find_blocks(BytesIO(content)).has_c2pa is expected


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"GIF89a", b"no image at all" * 9])
def test_find_blocks_of_other_content_is_empty(content: bytes) -> None:
    found = find_blocks(BytesIO(content))
    assert not (found.texts or found.exif or found.xmp or found.has_c2pa or found.notes)


def test_find_blocks_of_endless_fill_bytes_ends() -> None:
    found = find_blocks(BytesIO(b"\xff\xd8" + b"\xff" * (blocks.MAX_COUNT + 10)))
    assert found.notes == [f"what follows the first {blocks.MAX_COUNT} blocks was not read"]
