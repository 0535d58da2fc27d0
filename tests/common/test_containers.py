"""Images within ZIP files are read as files are, or refused with a reason."""

from __future__ import annotations

import multiprocessing
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from genspot.common.containers import (
    container_of,
    encoded_size,
    file_status,
    is_inside,
    open_container,
    read_bytes,
    zip_of,
)
from genspot.common.images import UnreadableError
from helpers.containers import write_zip

SIZES = 40, 41


def reason_of(path: Path | str, **options: int) -> str:
    with pytest.raises(UnreadableError) as error:
        read_bytes(str(path), **options)
    return str(error.value)


def test_container_of_is_the_file_in_which_the_image_lies(tmp_path: Path) -> None:
    folder = tmp_path / "x.zip"  # a folder of this name
    folder.mkdir()
    (folder / "a.png").write_bytes(b"plain")
    archive = write_zip(folder / "b.zip", {"c/d.png": b"inside"})
    assert container_of(f"{folder}/a.png") == f"{folder}/a.png"
    assert container_of(f"{archive}/c/d.png") == str(archive)
    assert container_of(f"{tmp_path}/gone.zip/d.png") == f"{tmp_path}/gone.zip/d.png"
    assert container_of(f"{archive}/{'long/' * 2000}d.png") == str(archive)
    assert [is_inside(f"{folder}/a.png"), is_inside(f"{archive}/c/d.png")] == [False, True]
    assert read_bytes(f"{archive}/c/d.png") == b"inside"
    assert encoded_size(f"{archive}/c/d.png") == 6 and encoded_size(f"{folder}/a.png") == 5
    assert file_status(f"{archive}/c/d.png").st_ino == archive.stat().st_ino
    assert zip_of(str(folder)) is None


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read_bytes_of_zip_equals_zipfile(tmp_path: Path, method: int) -> None:
    members = {"a/1.png": os.urandom(5000), "a/2.png": bytes(70_000), "b.png": b"x"}
    archive = write_zip(tmp_path / "A.ZIP", members, method)
    with zipfile.ZipFile(archive) as opened:
        for name in members:
            assert read_bytes(f"{archive}/{name}") == opened.read(name)


def test_read_bytes_of_zip_refuses_what_is_no_image_with_the_reason(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"d/": b"", "a.png": b"a" * 100, "empty.png": b""})
    assert "no such member" in reason_of(archive / "d")
    assert "no such member" in reason_of(archive / "gone.png")
    assert reason_of(archive / "empty.png") == "an empty file"
    assert "more than 99" in reason_of(archive / "a.png", max_bytes=99)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        other = write_zip(tmp_path / f"{method}.zip", {"a.png": b"a"}, method)
        assert "unpack it" in reason_of(other / "a.png")


def patched(archive: Path, change: dict[int, bytes]) -> Path:
    """Return a copy with bytes replaced in the header of the first member, and in the index."""
    content = bytearray(archive.read_bytes())
    index = content.index(b"PK\x01\x02")
    for offset, value in change.items():
        content[offset : offset + len(value)] = value
        content[index + offset + 2 : index + offset + 2 + len(value)] = value
    other = archive.with_name("patched.zip")
    other.write_bytes(content)
    return other


def test_read_bytes_of_zip_refuses_encrypted_damaged_and_unknown(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.png": b"ab" * 1000}, zipfile.ZIP_STORED)
    assert "encrypted" in reason_of(patched(archive, {6: b"\x01\x00"}) / "a.png")
    assert "unpack it" in reason_of(patched(archive, {8: b"\x63\x00"}) / "a.png")
    torn = tmp_path / "torn.zip"
    torn.write_bytes(archive.read_bytes().replace(b"abab", b"abaa", 1))
    assert "damaged" in reason_of(torn / "a.png")


def test_read_bytes_of_zip_never_holds_more_than_the_declared_size(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.png": bytes(100_000_000)})
    lying = patched(archive, {22: struct.pack("<I", 1000)})  # it says: 1000 bytes
    tracemalloc.start()
    assert "damaged" in reason_of(lying / "a.png")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(10)])
def test_open_container_of_a_damaged_file_says_so_in_one_line(
    tmp_path: Path, content: bytes
) -> None:
    for name in ("a.zip", "a.parquet", "a.arrow"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableError, match="cannot be read as") as error:
            open_container(str(tmp_path / name))
        assert "\n" not in str(error.value)
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UnreadableError, match="neither a folder nor"):
        read_bytes(f"{tmp_path}/a.txt/b.png")


def test_zip_members_have_names_with_slashes_and_left_out_ones_a_reason(tmp_path: Path) -> None:
    names = ["a\\b.png", "./c//d.png", "../up.png", "/root.png", "C:\\win.png", "x/../y.png"]
    archive = write_zip(tmp_path / "a.zip", {name: name.encode() for name in names})
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr(link, "target")
        opened.writestr("twice.png", b"first")
        opened.writestr("twice.png", b"last")
    found = zip_of(str(archive))
    assert found is not None
    assert list(found[0].members) == ["a/b.png", "c/d.png", "twice.png"]
    assert read_bytes(f"{archive}/a/b.png") == b"a\\b.png"
    assert read_bytes(f"{archive}/twice.png") == b"last"
    assert [name for name, _ in found[0].left_out] == [
        "../up.png",
        "root.png",
        "C:/win.png",
        "x/../y.png",
        "link.png",
        "twice.png",
    ]


def test_zip_members_without_the_flag_of_utf8_are_utf8_where_they_can_be(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"AB.png": b"x", "CD.png": b"y"})
    content = archive.read_bytes().replace(b"AB.png", "é.png".encode())
    archive.write_bytes(content.replace(b"CD.png", b"\x81\x82.png"))
    found = zip_of(str(archive))
    assert found is not None and list(found[0].members) == ["é.png", "üé.png"]
    assert read_bytes(f"{archive}/é.png") == b"x"


def read_often(archive: str, seed: int) -> bool:
    return all(
        read_bytes(f"{archive}/{number}.png") == bytes([number]) * 3000
        for number in [(seed + step * 7) % 50 for step in range(300)]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_that_share_an_open_zip_read_the_right_members(tmp_path: Path) -> None:
    members = {f"{number}.png": bytes([number]) * 3000 for number in range(50)}
    archive = str(write_zip(tmp_path / "a.zip", members))
    assert read_often(archive, 0)  # open before the others are forked
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(pool.starmap(read_often, [(archive, seed) for seed in range(8)]))


def test_replaced_container_is_opened_again(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.png": b"old"})
    assert read_bytes(f"{archive}/a.png") == b"old"
    write_zip(tmp_path / "b.zip", {"a.png": b"new one"}).replace(archive)
    assert read_bytes(f"{archive}/a.png") == b"new one"
