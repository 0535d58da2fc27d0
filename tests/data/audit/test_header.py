"""Facts of file headers, against files that PIL wrote with known settings."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from genspot.data.audit.header import jpeg_quality, read_header

NOISE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def header_of(kind: str, image: Image.Image | None = None, **options: Any) -> dict[str, Any]:
    """Return the header of an image that PIL saves."""
    content = BytesIO()
    (image or Image.fromarray(NOISE)).save(content, kind, **options)
    with Image.open(content) as file:
        file.load()
        return read_header(file)


@pytest.mark.parametrize("quality", [1, 3, 10, 25, 49, 50, 51, 75, 90, 95, 99, 100])
def test_quality_of_libjpeg_is_exact(quality: int) -> None:
    assert header_of("JPEG", quality=quality)["jpeg_quality"] == quality


def test_quality_of_other_tables_is_the_nearest() -> None:
    content = BytesIO()
    Image.fromarray(NOISE).save(content, "JPEG", quality=80)
    tables = Image.open(content).quantization
    changed = {0: [step + (number % 2) for number, step in enumerate(tables[0])]}
    distances = []
    for quality in range(1, 101):
        content = BytesIO()
        Image.fromarray(NOISE).save(content, "JPEG", quality=quality)
        own = Image.open(content).quantization[0]
        distances.append(sum(abs(a - b) for a, b in zip(own, changed[0], strict=True)))
    assert jpeg_quality(changed) == 1 + int(np.argmin(distances))


def test_tables_have_one_digest_if_and_only_if_they_are_equal() -> None:
    first, again = (header_of("JPEG", quality=75)["jpeg_tables"] for _ in range(2))
    assert first == again == header_of("JPEG", Image.new("RGB", (8, 8)))["jpeg_tables"]
    content = BytesIO()
    Image.fromarray(NOISE).save(content, "JPEG", quality=75)
    tables = [list(table) for table in Image.open(content).quantization.values()]
    assert header_of("JPEG", qtables=tables)["jpeg_tables"] == first
    tables[1][5] += 1  # of the chroma
    assert header_of("JPEG", qtables=tables)["jpeg_tables"] != first


@pytest.mark.parametrize(("setting", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_subsampling_is_that_of_the_encoder(setting: int, name: str) -> None:
    assert header_of("JPEG", subsampling=setting)["subsampling"] == name


def test_subsampling_of_one_band_is_grey_and_of_four_another() -> None:
    assert header_of("JPEG", Image.new("L", (40, 24)))["subsampling"] == "grey"
    assert header_of("JPEG", Image.new("CMYK", (40, 24)))["subsampling"] == "other"


def test_progressive_is_true_only_where_asked_for() -> None:
    assert header_of("JPEG", progressive=True)["progressive"] is True
    assert header_of("JPEG")["progressive"] is False


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_have_no_facts_of_jpeg(kind: str) -> None:
    header = header_of(kind)
    assert header["format"] == kind
    names = ("jpeg_quality", "jpeg_tables", "subsampling", "progressive")
    assert [header[name] for name in names] == [None] * 4


def exif_bytes(**tags: str) -> bytes:
    exif = Image.Exif()
    exif[0x0131] = tags["software"]
    return exif.tobytes()


def test_metadata_are_named_by_kind_in_order_of_the_alphabet() -> None:
    header = header_of(
        "JPEG", exif=exif_bytes(software="Maker\n 1.0"), icc_profile=b"x" * 9, comment=b"made"
    )
    assert header["metadata"] == "comment,exif,icc"
    assert header["software"] == "Maker 1.0"
    assert header_of("PNG") | {"metadata": "", "software": ""} == header_of("PNG")


def test_software_of_a_file_without_exif_is_its_comment() -> None:
    header = header_of("JPEG", comment=b"CREATOR: gd-jpeg v1.0" + b"\x00\xff" * 100)
    assert header["software"].startswith("CREATOR: gd-jpeg v1.0")
    assert len(header["software"]) <= 100 and header["software"].isprintable()


def test_text_of_png_is_found_before_and_after_the_pixels() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "Painter")
    header = header_of("PNG", pnginfo=info)
    assert (header["metadata"], header["software"]) == ("text", "Painter")
    late = PngImagePlugin.PngInfo()
    late.add_text("parameters", "steps: 20", zip=True)
    assert header_of("PNG", pnginfo=late)["metadata"] == "text"
    content = BytesIO()
    Image.fromarray(NOISE).save(content, "PNG", pnginfo=late)
    data = content.getvalue()
    chunk = data.index(b"zTXt") - 4
    length = 12 + struct.unpack(">I", data[chunk : chunk + 4])[0]
    moved = data[:chunk] + data[chunk + length : -12] + data[chunk : chunk + length] + data[-12:]
    with Image.open(BytesIO(moved)) as file:
        file.load()
        assert read_header(file)["metadata"] == "text"


def test_thumbnail_is_a_kind_of_its_own() -> None:
    # Big-endian TIFF: no tags in the first directory, one (JPEGInterchangeFormat) in the second.
    second = struct.pack(">HHHIII", 1, 0x0201, 4, 1, 64, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + struct.pack(">HI", 0, 14) + second
    assert header_of("JPEG", exif=exif)["metadata"] == "exif,thumbnail"


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0XX\0*\0\0\0\x08", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_damaged_exif_has_no_fields(exif: bytes) -> None:
    header = header_of("JPEG", exif=exif)
    assert (header["metadata"], header["software"]) == ("exif", "")
