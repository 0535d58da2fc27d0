"""The directory of a ZIP file: its folders, and how it is kept."""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path

import pytest

from genspot.download import entries
from genspot.download.directory import Directory, kept_directory, read_directory
from helpers.archives import (
    FOLDER_MODE,
    STORED,
    Entry,
    label_folder_images,
    named_entries,
    zip_bytes,
)
from helpers.byte_sources import MemorySource
from helpers.errors import error_of

IMAGES = label_folder_images(["stylegan/car", "stylegan/cat", "san"], 2)


def read(content: bytes, cache: Path) -> Directory:
    return read_directory(MemorySource(content), cache, "a.zip")


def test_sizes_are_those_of_contents_and_of_their_bytes_in_the_archive(tmp_path: Path) -> None:
    content = zip_bytes(IMAGES, STORED, folders=False)
    found = read(content, tmp_path)
    start = zipfile.ZipFile(io.BytesIO(content)).start_dir
    assert len(found) == len(IMAGES)
    assert found.size == sum(map(len, IMAGES.values()))
    assert found.stored == start


def test_select_of_folders_is_the_files_below_them(tmp_path: Path) -> None:
    found = read(zip_bytes(IMAGES), tmp_path)
    chosen = found.select(["san", "stylegan/car"]).table["name"].to_pylist()
    assert chosen == [name for name in IMAGES if name.startswith(("san/", "stylegan/car/"))]
    assert len(found.select(["stylegan"])) == 8
    assert len(found.select([])) == found.select([]).size == found.select([]).stored == 0
    assert found.select([]).by_folder() == {}


@pytest.mark.parametrize("folder", ["stylegan/ca", "SAN", "stylegan/0_real", "", "cow", "."])
def test_select_of_a_folder_without_files_says_which_there_are(
    tmp_path: Path, folder: str
) -> None:
    cow = Entry("cow/", mode=FOLDER_MODE)  # a folder that no file is in
    found = read(zip_bytes([*named_entries(IMAGES, STORED, True), cow]), tmp_path)
    message = error_of(found.select, ["san", folder])
    beside = "stylegan/car, stylegan/cat" if "/" in folder else "san, stylegan"
    assert message.startswith(f"a.zip holds no file below {folder}/; it holds: ")
    assert beside in message
    assert "cow" not in message.partition("it holds")[2]


def test_by_folder_is_the_files_of_each_folder(tmp_path: Path) -> None:
    entries = named_entries({**IMAGES, "readme.txt": b"text"}, STORED, folders=True)
    parts = read(zip_bytes(entries[::-1]), tmp_path).by_folder()
    expected: dict[str, list[str]] = {}
    for name in ["readme.txt", *list(IMAGES)[::-1]]:
        expected.setdefault(name.rpartition("/")[0], []).append(name)
    assert {folder: part.table["name"].to_pylist() for folder, part in parts.items()} == expected


def test_read_directory_of_an_empty_zip_file_is_empty(tmp_path: Path) -> None:
    found = read(zip_bytes({}, zip64=False), tmp_path)
    assert len(found) == found.size == 0
    assert error_of(found.select, ["cat"]).endswith("it holds: nothing")


# The directory that is kept


def test_read_directory_again_reads_only_the_end_of_the_archive(tmp_path: Path) -> None:
    content = bytes(200_000) + zip_bytes(IMAGES, folders=False)
    first = read(content, tmp_path / "new" / "cache")
    source = MemorySource(content)
    second = read_directory(source, tmp_path / "new" / "cache", "b.zip")
    assert second.table.equals(first.table)
    assert source.reads == [(len(content) - entries.TAIL, entries.TAIL)]
    assert second.title == "b.zip"


def test_read_directory_of_another_archive_in_one_cache_is_its_own(tmp_path: Path) -> None:
    content = zip_bytes(IMAGES, STORED)
    name = next(iter(IMAGES))
    changed = zip_bytes({**IMAGES, name: IMAGES[name][:-1] + b"x"}, STORED)
    assert len(changed) == len(content)
    first, second = read(content, tmp_path), read(changed, tmp_path)
    assert first.table["crc"][0] != second.table["crc"][0]
    assert len(list(tmp_path.iterdir())) == 2


def test_read_directory_with_a_damaged_cache_reads_the_archive(tmp_path: Path) -> None:
    content = zip_bytes(IMAGES)
    first = read(content, tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    spoiled = whole[:300] + bytes([whole[300] ^ 4]) + whole[301:]
    for damaged in (b"", whole[:99], whole[:-1], spoiled, b"no table" * 99):
        kept.write_bytes(damaged)
        assert read(content, tmp_path).table.equals(first.table)
        assert kept.read_bytes() == whole


def test_read_directory_damaged_once_is_read_once_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = zip_bytes(IMAGES, zip64=False)

    class DamagedOnce(MemorySource):
        def read(self, offset: int, length: int) -> bytes:
            data = super().read(offset, length)
            return data[:-20] + b"?" + data[-19:] if len(self.reads) == 1 else data

    with caplog.at_level(logging.WARNING):
        found = read_directory(DamagedOnce(content), tmp_path, "a.zip")
    assert found.table["name"].to_pylist() == list(IMAGES)
    assert "is read once more" in caplog.text


def test_read_directory_of_a_hostile_archive_keeps_nothing(tmp_path: Path) -> None:
    content = zip_bytes({**IMAGES, "../a.png": b"x"}, folders=False)
    source = MemorySource(content)
    message = error_of(read_directory, source, tmp_path, "a.zip")
    assert message.startswith("a.zip: member ../a.png is not accepted")
    assert len(source.reads) == 2
    assert not list(tmp_path.iterdir())


def test_kept_directory_is_the_one_that_was_read_or_none(tmp_path: Path) -> None:
    found = read(zip_bytes(IMAGES), tmp_path)
    (path,) = tmp_path.iterdir()
    kept = kept_directory(path, "a.zip")
    assert kept is not None
    assert (kept.title, kept.kept) == ("a.zip", path)
    assert kept.table.equals(found.table)
    found.forget()
    assert kept_directory(path, "a.zip") is kept_directory(tmp_path, "a.zip") is None


def test_forget_lets_the_directory_be_read_from_the_archive(tmp_path: Path) -> None:
    found = read(zip_bytes(IMAGES), tmp_path)
    found.select(["san"]).by_folder()["san/0_real"].forget()
    assert not list(tmp_path.iterdir())
    found.forget()  # a second call does nothing
    Directory("a.zip", found.table).forget()  # one that is not kept
    (tmp_path / "file").touch()
    Directory("a.zip", found.table, tmp_path / "file" / "kept.parquet").forget()


def test_read_directory_whose_cache_cannot_be_written_says_so_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert len(read(zip_bytes(IMAGES), tmp_path / "file" / "cache")) == len(IMAGES)
    assert "is not kept" in caplog.text
