from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from genspot.common import claims
from genspot.common.claims import FileClaims
from genspot.data.claims.read import read_claims
from helpers.claims import (
    GENERATED,
    PARAMETERS,
    jpeg_segment,
    jpeg_with,
    make_exif,
    make_xmp,
    png_with_text,
    save,
)
from helpers.image_bytes import damage

XMP = make_xmp(f'ext:DigitalSourceType="{GENERATED}"')
EXIF = make_exif(x10F="NIKON")
JUMBF = b"JP\0\1\0\0\0\1\0\0\0\x40jumb\0\0\0\x20jumdc2pa" + bytes(40)


def read(content: bytes, tmp_path: Path) -> FileClaims:
    path = tmp_path / "image"
    path.write_bytes(content)
    found = read_claims(str(path), 10)
    assert found.path == str(path)
    return found


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_read_claims_of_what_pil_wrote_has_source_type_and_camera(
    kind: str, tmp_path: Path
) -> None:
    found = read(save(kind, exif=EXIF, xmp=XMP), tmp_path)
    assert found.notes == ()
    assert [(one.kind, one.source, one.field) for one in found.claims] == [
        (claims.GENERATED, "XMP", "DigitalSourceType"),
        (claims.CAMERA, "EXIF", "Make"),
    ]


def test_read_claims_of_tiff_has_camera_and_source_type(tmp_path: Path) -> None:
    found = read(save("TIFF", tiffinfo={271: "NIKON", 700: XMP}), tmp_path)
    assert found.notes == ()
    assert [(one.kind, one.value) for one in found.claims] == [
        (claims.GENERATED, GENERATED),
        (claims.CAMERA, "NIKON"),
    ]


def test_read_claims_of_png_puts_generation_first(tmp_path: Path) -> None:
    found = read(png_with_text(Title="cat", parameters=PARAMETERS), tmp_path)
    assert [(one.kind, one.field) for one in found.claims] == [
        (claims.GENERATED, "parameters"),
        (claims.OTHER, "Title"),
    ]


def test_read_claims_of_an_image_within_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("b/c.png", png_with_text(parameters=PARAMETERS))
    found = read_claims(f"{tmp_path}/a.zip/b/c.png", 10)
    assert [one.kind for one in found.claims] == [claims.GENERATED]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_read_claims_of_a_plain_file_is_empty(kind: str, tmp_path: Path) -> None:
    found = read(save(kind), tmp_path)
    assert (found.claims, found.notes) == ((), ())


def test_read_claims_of_a_file_in_memory_reads_no_path(tmp_path: Path) -> None:
    content = png_with_text(parameters=PARAMETERS)
    found = read_claims("no/such/file.png", 10, content)
    assert found.path == "no/such/file.png" and not found.notes
    assert found.claims == read(content, tmp_path).claims != ()


def test_read_claims_of_a_file_that_is_not_there_is_a_note() -> None:
    (note,) = read_claims("/no/such/file.png", 10).notes
    assert note.startswith("the file could not be read: ")


def test_read_claims_of_torn_parts_keeps_the_others(tmp_path: Path) -> None:
    content = jpeg_with(
        jpeg_segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")
        + jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP[:-9])
        + jpeg_segment(0xEB, JUMBF)
    )
    found = read(content, tmp_path)
    assert [(one.kind, one.field) for one in found.claims] == [
        (claims.GENERATED, "DigitalSourceType"),
        (claims.CREDENTIALS, "manifest"),
    ]
    assert any(note.startswith("XMP could not be read: ") for note in found.notes)


def test_read_claims_of_damaged_files_never_raises(tmp_path: Path) -> None:
    rng = random.Random(0)
    whole = [save(kind, exif=EXIF, xmp=XMP) for kind in ("JPEG", "WEBP", "AVIF")]
    whole += [png_with_text(True, parameters=PARAMETERS), save("TIFF", tiffinfo={271: "NIKON"})]
    for content in whole:
        for _ in range(100):
            torn = content
            for _ in range(rng.randint(1, 4)):
                torn = damage(torn, rng) or b"\xff"
            found = read(torn, tmp_path)
            for one in found.claims:
                assert one.kind in claims.KINDS and one.value.isprintable()


def test_read_claims_of_damaged_manifests_never_raises(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    from helpers.claims import sign

    rng = random.Random(0)
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF"):
        content = sign(save(kind), kind)
        for _ in range(30):
            found = read(damage(content, rng), tmp_path)
            assert len({one.kind for one in found.claims} - set(claims.KINDS)) == 0
