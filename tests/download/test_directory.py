"""The directory of a ZIP file, of archives in good order and of hostile ones."""

from __future__ import annotations

import io
import logging
import random
import subprocess
import zipfile
from pathlib import Path

import pytest

from genspot.download import directory as module
from genspot.download.directory import Directory, read_directory
from helpers.archives import (
    DEFLATED,
    FILE_MODE,
    FOLDER_MODE,
    LINK_MODE,
    SEVEN_ZIP,
    STORED,
    Entry,
    label_folder_images,
    named_entries,
    zip_bytes,
)
from helpers.byte_sources import MemorySource
from helpers.errors import error_of
from helpers.image_bytes import flip_bit

IMAGES = label_folder_images(["stylegan/car", "stylegan/cat", "san"], 2)
SMALL = Entry("cat/0_real/0.png", b"image")


def read(content: bytes, cache: Path) -> Directory:
    return read_directory(MemorySource(content), cache, "a.zip")


def error_of_zip(content: bytes, cache: Path) -> str:
    return error_of(read, content, cache)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_read_directory_is_what_zipfile_reads(tmp_path: Path, method: int, zip64: bool) -> None:
    content = zip_bytes(IMAGES, method, zip64, comment=b"of a kind")
    infos = [i for i in zipfile.ZipFile(io.BytesIO(content)).infolist() if not i.is_dir()]
    table = read(content, tmp_path).table
    assert table.schema == module.SCHEMA
    assert table["name"].to_pylist() == [info.filename for info in infos] == list(IMAGES)
    assert table["offset"].to_pylist() == [info.header_offset for info in infos]
    assert table["compressed"].to_pylist() == [info.compress_size for info in infos]
    assert table["size"].to_pylist() == list(map(len, IMAGES.values()))
    assert table["crc"].to_pylist() == [info.CRC for info in infos]
    assert set(table["method"].to_pylist()) == {method}


def test_read_directory_ends_members_where_the_next_header_begins(tmp_path: Path) -> None:
    entries = [*named_entries(IMAGES, DEFLATED, folders=True)]
    content = zip_bytes(entries)
    directory = zipfile.ZipFile(io.BytesIO(content))
    borders = [info.header_offset for info in directory.infolist()] + [directory.start_dir]
    table = read(content, tmp_path).table
    for offset, end in zip(table["offset"].to_pylist(), table["end"].to_pylist(), strict=True):
        assert end == borders[borders.index(offset) + 1]


@pytest.mark.skipif(SEVEN_ZIP is None, reason="needs 7-Zip")
def test_read_directory_of_a_zip_file_of_7_zip_is_what_it_packed(tmp_path: Path) -> None:
    for name, data in IMAGES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    assert SEVEN_ZIP is not None
    command = [SEVEN_ZIP, "a", "-tzip", str(tmp_path / "a.zip"), "."]
    subprocess.run(command, cwd=tmp_path / "in", check=True, capture_output=True, timeout=60)
    found = read((tmp_path / "a.zip").read_bytes(), tmp_path)
    assert sorted(found.table["name"].to_pylist()) == sorted(IMAGES)


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


def test_read_directory_of_many_entries_needs_the_records_of_zip64(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(65_540):  # more than 16 bits count
            archive.writestr(f"{number}.png", b"")
    assert len(read(file.getvalue(), tmp_path)) == 65_540


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
    assert source.reads == [(len(content) - module.TAIL, module.TAIL)]
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


def test_read_directory_whose_cache_cannot_be_written_says_so_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert len(read(zip_bytes(IMAGES), tmp_path / "file" / "cache")) == len(IMAGES)
    assert "is not kept" in caplog.text


# Hostile archives


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "cat/../../a.png",
        "cat/..",
        "/etc/passwd",
        "//host/a.png",
        "cat//a.png",
        "./a.png",
        "C:/a.png",
        "c:a.png",
        "..\\a.png",
        "cat\\a.png",
        "cat/a\n.png",
        "cat/\x1b[2J.png",
        "../folder/",
        "/",
        "",
    ],
)
def test_read_directory_refuses_a_name_that_leads_elsewhere(tmp_path: Path, name: str) -> None:
    message = error_of_zip(zip_bytes([SMALL, Entry(name, b"x")]), tmp_path)
    assert message.startswith("a.zip: member ")
    assert message.endswith("is not accepted: its name does not lead to a place below the folder")
    assert message.isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["...", "a..png", ".hidden/a.png", "Löwe/ä.png", "ab:c.png"])
def test_read_directory_accepts_a_name_that_is_only_odd(tmp_path: Path, name: str) -> None:
    found = read(zip_bytes([Entry(name, b"x")]), tmp_path)
    assert found.table["name"].to_pylist() == [name]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Entry("cat/a.png", b"../../etc", mode=LINK_MODE), "a link or no regular file"),
        (Entry("cat/", mode=LINK_MODE), "a link or no regular file"),
        (Entry("cat/a.png", mode=0o010644), "a link or no regular file"),  # a pipe
        (Entry("cat/a.png", mode=FOLDER_MODE), "a link or no regular file"),
        (Entry("cat/a.png", b"x", flags=0x1), "encrypted"),
        (Entry("cat/a.png", b"x", flags=0x41), "encrypted"),
        (Entry("cat/a.png", b"x", method=12), "compressed by method 12"),
        (Entry("cat/a.png", b"x", method=9), "compressed by method 9"),
        (Entry("cat/a.png", b"x", DEFLATED, size=2**40), "1,099,511,627,776 bytes; at most"),
        (Entry("cat/a.png", b"x", size=2), "stored in 1 bytes and has 2"),
        (Entry("cat/a.png", b"x" * 9, compressed=400, size=400), "in what follows it"),
    ],
)
def test_read_directory_refuses_a_member_that_is_not_plain(
    tmp_path: Path, entry: Entry, expected: str
) -> None:
    message = error_of_zip(zip_bytes([SMALL, entry]), tmp_path)
    assert message.startswith(f"a.zip: member {entry.name} is not accepted: ")
    assert expected in message


def test_read_directory_of_members_that_share_bytes_refuses_them(tmp_path: Path) -> None:
    kernel = Entry("a.png", b"x" * 5_000, DEFLATED)
    others = [Entry(f"{n}.png", kernel.data, DEFLATED, offset=0) for n in range(3)]
    assert "in what follows it" in error_of_zip(zip_bytes([kernel, *others]), tmp_path)


def test_read_directory_refuses_members_before_the_start(tmp_path: Path) -> None:
    content = zip_bytes([SMALL], zip64=False)
    offset = int.from_bytes(content[-6:-2], "little") + 9  # of the directory, in the end record
    moved = content[:-6] + offset.to_bytes(4, "little") + content[-2:]
    assert "outside the archive" in error_of_zip(moved, tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat/a.png", "cat/a.png"], "two members have the name cat/a.png"),
        (["cat/a", "cat/a/b.png"], "cat/a is both a file and a folder"),
        (["cat/a/b/c.png", "cat"], "cat is both a file and a folder"),
    ],
)
def test_read_directory_refuses_two_members_of_one_place(
    tmp_path: Path, names: list[str], expected: str
) -> None:
    entries = [Entry(name, b"x", mode=FILE_MODE) for name in names]
    assert expected in error_of_zip(zip_bytes(entries), tmp_path)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 60_000])
def test_read_directory_refuses_a_wrong_count(tmp_path: Path, count: int, zip64: bool) -> None:
    entries = [SMALL, Entry("b.png", b"b")]
    message = error_of_zip(zip_bytes(entries, zip64=zip64, count=count), tmp_path)
    assert f"it has 2 entries, {count:,} are stated" in message


def test_read_directory_refuses_one_too_large_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DIRECTORY", 1_000)
    monkeypatch.setattr(module, "TAIL", 100)
    message = error_of_zip(zip_bytes(IMAGES), tmp_path)
    assert "its directory is said to have" in message


@pytest.mark.parametrize("zip64", [False, True])
def test_read_directory_of_a_cut_archive_says_that_it_is_damaged(
    tmp_path: Path, zip64: bool
) -> None:
    content = zip_bytes(IMAGES, zip64=zip64)
    for length in range(0, len(content), 97):
        assert "a.zip: the directory" in error_of_zip(content[:length], tmp_path)
    assert "bytes follow its end record" in error_of_zip(content + b"\0", tmp_path)


@pytest.mark.parametrize("zip64", [False, True])
def test_read_directory_with_a_flipped_bit_is_read_or_refused_in_one_line(
    tmp_path: Path, zip64: bool
) -> None:
    rng = random.Random(0)
    content = zip_bytes(IMAGES, STORED, zip64)
    start = zipfile.ZipFile(io.BytesIO(content)).start_dir
    refused = 0
    for number in range(300):
        damaged = content[:start] + flip_bit(content[start:], rng)
        try:
            read(damaged, tmp_path / str(number))
        except module.GenspotError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 100
