"""The ZIP file in an uncompressed 7z archive."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from genspot.download.seven_zip import stored_content
from genspot.download.source import LocalFile, Volumes
from helpers.archives import (
    SEVEN_ZIP,
    cut,
    label_folder_images,
    seven_zip_bytes,
    seven_zip_start,
    seven_zip_volumes,
    training_volumes,
    zip_bytes,
)
from helpers.byte_sources import MemorySource
from helpers.errors import error_of

IMAGES = label_folder_images(["cat"], 2)
CONTENT = zip_bytes(IMAGES)
ARCHIVE = seven_zip_bytes(CONTENT)
SIGNATURE_HEADER = 32
needs_seven_zip = pytest.mark.skipif(SEVEN_ZIP is None, reason="needs 7-Zip")


def error_of_archive(archive: bytes) -> str:
    return error_of(stored_content, MemorySource(archive), "a.7z")


def save(volumes: dict[str, bytes], folder: Path) -> list[Path]:
    for name, content in volumes.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in volumes]


def test_stored_content_of_seven_unequal_volumes_is_the_zip_file(tmp_path: Path) -> None:
    files = save(cut(ARCHIVE, "a.7z"), tmp_path)
    sizes = [file.stat().st_size for file in files]
    volumes = Volumes([LocalFile(file, size) for file, size in zip(files, sizes, strict=True)])
    window = stored_content(volumes, "a.7z")
    assert len(set(sizes)) == 7
    assert (window.offset, window.size) == (SIGNATURE_HEADER, len(CONTENT))
    assert window.read(0, window.size) == CONTENT


def test_stored_content_reads_the_ends_alone() -> None:
    source = MemorySource(ARCHIVE)
    stored_content(source, "a.7z")
    assert sum(length for _, length in source.reads) == len(ARCHIVE) - len(CONTENT) + 4


@needs_seven_zip
def test_stored_content_of_the_volumes_of_7_zip_is_the_zip_file(tmp_path: Path) -> None:
    volumes = seven_zip_volumes(CONTENT, tmp_path / "7z", [10, 90, 700, 300, 200, 500, 10**6])
    window = stored_content(Volumes([MemorySource(part) for part in volumes.values()]), "a.7z")
    assert len(volumes) == 7
    assert window.read(0, window.size) == CONTENT


@needs_seven_zip
def test_seven_zip_accepts_the_volumes_that_the_tests_write(tmp_path: Path) -> None:
    first = save(training_volumes(IMAGES), tmp_path)[0]
    assert SEVEN_ZIP is not None
    command = [SEVEN_ZIP, "x", f"-o{tmp_path}", str(first)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(tmp_path / "progan_train.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in IMAGES} == IMAGES


@needs_seven_zip
@pytest.mark.parametrize("level", [1, 9])
def test_stored_content_of_a_compressed_archive_says_so(tmp_path: Path, level: int) -> None:
    shutil.copyfileobj(io.BytesIO(CONTENT), (tmp_path / "a.zip").open("wb"))
    assert SEVEN_ZIP is not None
    command = [SEVEN_ZIP, "a", f"-mx={level}", "a.7z", "a.zip"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    message = error_of_archive((tmp_path / "a.7z").read_bytes())
    assert "does not store a ZIP file uncompressed" in message


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>no ZIP file</html>"])
def test_stored_content_of_something_else_says_so(content: bytes) -> None:
    assert "does not store a ZIP file" in error_of_archive(seven_zip_bytes(content))


@pytest.mark.parametrize(
    ("archive", "expected"),
    [
        (b"", "it has 0 bytes"),
        (ARCHIVE[:31], "it has 31 bytes"),
        (CONTENT, "begins with 50 4b 03 04"),
        (b"<!DOCTYPE html>" * 9, "begins with 3c 21"),
        (ARCHIVE[:-1], f"speaks of {len(ARCHIVE):,} bytes"),
        (ARCHIVE + b"\0", f"it has {len(ARCHIVE) + 1:,}"),
        (ARCHIVE[:20] + b"\1" + ARCHIVE[21:], "the CRC-32 of its first 32 bytes"),
        (ARCHIVE[:-9] + b"\1" + ARCHIVE[-8:], "the CRC-32 of its last"),
        (seven_zip_start(2**63, b"") + CONTENT, "is not whole"),
        (seven_zip_start(0, bytes(2 << 20)) + bytes(2 << 20), "is not whole"),
    ],
)
def test_stored_content_of_a_damaged_archive_says_what_is_wrong(
    archive: bytes, expected: str
) -> None:
    message = error_of_archive(archive)
    assert message.startswith("a.7z ")
    assert expected in message


def test_stored_content_with_volumes_in_the_wrong_order_says_so() -> None:
    parts = list(cut(ARCHIVE, "a.7z").values())
    parts[1], parts[2] = parts[2], parts[1]
    source = Volumes([MemorySource(part) for part in parts])
    assert "CRC-32" in error_of(stored_content, source, "a.7z")


def test_signature_header_has_the_crc_of_its_last_twenty_bytes() -> None:
    assert int.from_bytes(ARCHIVE[8:12], "little") == zlib.crc32(ARCHIVE[12:32])
