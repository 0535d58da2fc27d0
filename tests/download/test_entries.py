"""The entries of a ZIP file, of archives in good order and of hostile ones."""

from __future__ import annotations

import io
import random
import subprocess
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.download import entries as module
from genspot.download.entries import EndFirst, read_entries
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


def read(content: bytes) -> pa.Table:
    return read_entries(EndFirst(MemorySource(content), "a.zip"), "a.zip")


def error_of_zip(content: bytes) -> str:
    return error_of(read, content)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_read_entries_is_what_zipfile_reads(method: int, zip64: bool) -> None:
    content = zip_bytes(IMAGES, method, zip64, comment=b"of a kind")
    infos = [i for i in zipfile.ZipFile(io.BytesIO(content)).infolist() if not i.is_dir()]
    table = read(content)
    assert table.schema == module.SCHEMA
    assert table["name"].to_pylist() == [info.filename for info in infos] == list(IMAGES)
    assert table["offset"].to_pylist() == [info.header_offset for info in infos]
    assert table["compressed"].to_pylist() == [info.compress_size for info in infos]
    assert table["size"].to_pylist() == list(map(len, IMAGES.values()))
    assert table["crc"].to_pylist() == [info.CRC for info in infos]
    assert set(table["method"].to_pylist()) == {method}


def test_read_entries_ends_members_where_the_next_header_begins() -> None:
    entries = [*named_entries(IMAGES, DEFLATED, folders=True)]
    content = zip_bytes(entries)
    directory = zipfile.ZipFile(io.BytesIO(content))
    borders = [info.header_offset for info in directory.infolist()] + [directory.start_dir]
    table = read(content)
    for offset, end in zip(table["offset"].to_pylist(), table["end"].to_pylist(), strict=True):
        assert end == borders[borders.index(offset) + 1]


@pytest.mark.skipif(SEVEN_ZIP is None, reason="needs 7-Zip")
def test_read_entries_of_a_zip_file_of_7_zip_is_what_it_packed(tmp_path: Path) -> None:
    for name, data in IMAGES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    assert SEVEN_ZIP is not None
    command = [SEVEN_ZIP, "a", "-tzip", str(tmp_path / "a.zip"), "."]
    subprocess.run(command, cwd=tmp_path / "in", check=True, capture_output=True, timeout=60)
    found = read((tmp_path / "a.zip").read_bytes())
    assert sorted(found["name"].to_pylist()) == sorted(IMAGES)


def test_read_entries_of_many_entries_needs_the_records_of_zip64() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(65_540):  # more than 16 bits count
            archive.writestr(f"{number}.png", b"")
    assert len(read(file.getvalue())) == 65_540


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
def test_read_entries_refuses_a_name_that_leads_elsewhere(name: str) -> None:
    message = error_of_zip(zip_bytes([SMALL, Entry(name, b"x")]))
    assert message.startswith("a.zip: member ")
    assert message.endswith("is not accepted: its name does not lead to a place below the folder")
    assert message.isprintable()


@pytest.mark.parametrize("name", ["...", "a..png", ".hidden/a.png", "Löwe/ä.png", "ab:c.png"])
def test_read_entries_accepts_a_name_that_is_only_odd(name: str) -> None:
    found = read(zip_bytes([Entry(name, b"x")]))
    assert found["name"].to_pylist() == [name]


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
def test_read_entries_refuses_a_member_that_is_not_plain(entry: Entry, expected: str) -> None:
    message = error_of_zip(zip_bytes([SMALL, entry]))
    assert message.startswith(f"a.zip: member {entry.name} is not accepted: ")
    assert expected in message


def test_read_entries_of_members_that_share_bytes_refuses_them() -> None:
    kernel = Entry("a.png", b"x" * 5_000, DEFLATED)
    others = [Entry(f"{n}.png", kernel.data, DEFLATED, offset=0) for n in range(3)]
    assert "in what follows it" in error_of_zip(zip_bytes([kernel, *others]))


def test_read_entries_refuses_members_before_the_start() -> None:
    content = zip_bytes([SMALL], zip64=False)
    offset = int.from_bytes(content[-6:-2], "little") + 9  # of the directory, in the end record
    moved = content[:-6] + offset.to_bytes(4, "little") + content[-2:]
    assert "outside the archive" in error_of_zip(moved)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat/a.png", "cat/a.png"], "two members of the name cat/a.png"),
        (["cat/a", "cat/a-b.png", "cat/a/b.png"], "a file and a folder of the name cat/a"),
        (["cat/a/b/c.png", "cat"], "a file and a folder of the name cat"),
    ],
)
def test_read_entries_refuses_two_members_of_one_place(names: list[str], expected: str) -> None:
    entries = [Entry(name, b"x", mode=FILE_MODE) for name in names]
    assert expected in error_of_zip(zip_bytes(entries))


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3, 60_000])
def test_read_entries_refuses_a_wrong_count(count: int, zip64: bool) -> None:
    entries = [SMALL, Entry("b.png", b"b")]
    message = error_of_zip(zip_bytes(entries, zip64=zip64, count=count))
    assert f"it has 2 entries, {count:,} are stated" in message


def test_read_entries_refuses_one_too_large_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DIRECTORY", 1_000)
    monkeypatch.setattr(module, "TAIL", 100)
    message = error_of_zip(zip_bytes(IMAGES))
    assert "its directory is said to have" in message


@pytest.mark.parametrize("zip64", [False, True])
def test_read_entries_of_a_cut_archive_says_that_it_is_damaged(zip64: bool) -> None:
    content = zip_bytes(IMAGES, zip64=zip64)
    for length in range(0, len(content), 97):
        assert "a.zip: the directory" in error_of_zip(content[:length])
    assert "bytes follow its end record" in error_of_zip(content + b"\0")


@pytest.mark.parametrize("zip64", [False, True])
def test_read_entries_with_a_flipped_bit_is_read_or_refused_in_one_line(zip64: bool) -> None:
    rng = random.Random(0)
    content = zip_bytes(IMAGES, STORED, zip64)
    start = zipfile.ZipFile(io.BytesIO(content)).start_dir
    refused = 0
    for _ in range(300):
        damaged = content[:start] + flip_bit(content[start:], rng)
        try:
            read(damaged)
        except module.GenspotError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 100
