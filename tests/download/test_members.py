"""Members read by ranges, verified, of archives in good order and of damaged ones."""

from __future__ import annotations

import io
import itertools
import logging
import random
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.download import members as module
from genspot.download.directory import Directory, read_directory
from genspot.download.members import Batch, Member, batches, read_batch
from genspot.download.seven_zip import stored_content
from genspot.download.source import ByteSource, Volumes
from helpers.archives import (
    DEFLATED,
    STORED,
    Entry,
    label_folder_images,
    named_entries,
    training_volumes,
    zip_bytes,
)
from helpers.byte_sources import MemorySource
from helpers.errors import error_of
from helpers.image_bytes import flip_bit

IMAGES = label_folder_images(["cat", "dog", "Löwe"], 3)
HEADER = 30


def directory_of(content: bytes, cache: Path) -> Directory:
    return read_directory(MemorySource(content), cache, "a.zip")


def read_all(content: bytes, cache: Path, limit: int = module.LIMIT) -> dict[str, bytes]:
    source = MemorySource(content)
    parts = batches(directory_of(content, cache), limit)
    return {name: data for batch in parts for name, data in read_batch(source, batch)}


def members_of(source: ByteSource, batch: Batch) -> list[Member]:
    return list(read_batch(source, batch))


def only_batch(content: bytes, cache: Path) -> Batch:
    (batch,) = batches(directory_of(content, cache))
    return batch


@pytest.mark.parametrize("limit", [1, 3_000, module.LIMIT])
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_read_batch_of_all_batches_is_the_content(
    tmp_path: Path, method: int, zip64: bool, limit: int
) -> None:
    assert read_all(zip_bytes(IMAGES, method, zip64), tmp_path, limit) == IMAGES


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_read_batch_accepts_sizes_behind_the_content(
    tmp_path: Path, method: int, zip64: bool
) -> None:
    entries = [Entry(name, data, method, descriptor=True) for name, data in IMAGES.items()]
    assert read_all(zip_bytes(entries, zip64=zip64), tmp_path) == IMAGES


def test_read_batch_of_what_zipfile_writes_to_a_pipe_is_the_content(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    file = Pipe()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in IMAGES.items():
            archive.writestr(name, data)
    assert read_all(file.getvalue(), tmp_path) == IMAGES


def test_read_batch_across_the_borders_of_seven_volumes_is_the_content(tmp_path: Path) -> None:
    volumes = training_volumes(IMAGES)
    source = Volumes([MemorySource(part) for part in volumes.values()])
    window = stored_content(source, "a.7z")
    found = read_directory(window, tmp_path, "a.zip")
    borders = [end - window.offset for end in source.ends[:-1]]
    spans = zip(found.table["offset"].to_pylist(), found.table["end"].to_pylist(), strict=True)
    assert any(start < border < end for start, end in spans for border in borders)
    assert {k: v for batch in batches(found) for k, v in read_batch(window, batch)} == IMAGES


def test_read_batch_of_a_name_in_code_page_437_or_in_unmarked_utf_8_is_that_name(
    tmp_path: Path,
) -> None:
    content = zip_bytes([Entry("cat/aa.png", b"x"), Entry("cat/bbb.png", b"y")])
    content = content.replace(b"aa.png", b"\x84a.png")  # ä in code page 437
    content = content.replace(b"bbb.png", b"b\xc3\xb6.png")  # ö in UTF-8
    assert read_all(content, tmp_path) == {"cat/äa.png": b"x", "cat/bö.png": b"y"}


def test_batches_hold_all_members_within_the_limit(tmp_path: Path) -> None:
    rng = random.Random(0)
    images = {f"{n}.png": bytes(rng.randrange(4_000)) for n in range(200)}
    for method in (STORED, DEFLATED):
        found = directory_of(zip_bytes(images, method, folders=False), tmp_path)
        parts = list(batches(found, 10_000))
        names = [name for part in parts for name in part.directory.table["name"].to_pylist()]
        assert names == list(images)
        assert all(part.length <= 10_000 for part in parts)
        assert all(part.directory.size <= 10_000 for part in parts)
        assert sum(part.length for part in parts) == found.stored
        for part, following in itertools.pairwise(parts):  # which does not fit
            row = following.directory.table.slice(0, 1).to_pylist()[0]
            reach = row["end"] - part.offset
            assert max(reach, part.directory.size + row["size"]) > 10_000


def test_batches_read_a_member_above_the_limit_alone(tmp_path: Path) -> None:
    images = {"a.png": b"a" * 10, "b.png": b"b" * 9_000, "c.png": b"c" * 10}
    parts = list(batches(directory_of(zip_bytes(images, STORED), tmp_path), 1_000))
    assert [part.directory.table["name"].to_pylist() for part in parts] == [
        ["a.png"],
        ["b.png"],
        ["c.png"],
    ]


@pytest.mark.parametrize(("gap", "expected"), [(module.GAP, 1), (module.GAP + 1, 2)])
def test_batches_read_over_small_gaps_alone(tmp_path: Path, gap: int, expected: int) -> None:
    between = Entry("dog/0.png", b"x" * (gap - HEADER - len("dog/0.png") - 9))  # 9: TIMES
    entries = [Entry("cat/0.png", b"x"), between, Entry("cat/1.png", b"y")]
    content = zip_bytes(entries, zip64=False)
    parts = list(batches(directory_of(content, tmp_path).select(["cat"])))
    assert len(parts) == expected
    source = MemorySource(content)
    found = [member for part in parts for member in read_batch(source, part)]
    assert found == [("cat/0.png", b"x"), ("cat/1.png", b"y")]


def test_batches_of_junk_between_members_do_not_read_it(tmp_path: Path) -> None:
    junk = bytes(3_000_000)
    content = zip_bytes([Entry("a.png", b"x"), Entry("b.png", b"y", gap=junk)])
    parts = list(batches(directory_of(content, tmp_path)))
    assert sum(part.length for part in parts) < 200_000
    assert read_all(content, tmp_path) == {"a.png": b"x", "b.png": b"y"}


def test_batches_of_an_empty_directory_are_none(tmp_path: Path) -> None:
    assert list(batches(directory_of(zip_bytes(IMAGES), tmp_path).select([]))) == []


# Damage and lies


def test_read_batch_damaged_once_is_read_once_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = zip_bytes(IMAGES, STORED, folders=False)
    batch = only_batch(content, tmp_path)
    source = MemorySource(content, damaged=1)
    with caplog.at_level(logging.WARNING):
        assert members_of(source, batch) == list(IMAGES.items())  # none of them twice
    assert source.reads == [(batch.offset, batch.length)] * 2
    assert list(tmp_path.iterdir())
    assert "are read once more" in caplog.text


def test_read_batch_damaged_twice_names_the_member_and_both_checksums(tmp_path: Path) -> None:
    data = bytes(1_001)
    content = zip_bytes([Entry("cat/a.png", data)])
    source = MemorySource(content, damaged=2)
    message = error_of(members_of, source, only_batch(content, tmp_path))
    assert len(source.reads) == 2
    assert not list(tmp_path.iterdir())  # the fault may be in the directory
    assert message.startswith("a.zip: member cat/a.png at byte 0 is damaged: its CRC-32 is ")
    assert message.endswith(f"expected is {zlib.crc32(data):08x}")


def test_read_batch_that_the_source_refuses_is_not_tried_again(tmp_path: Path) -> None:
    class Gone(MemorySource):
        def read(self, offset: int, length: int) -> bytes:
            super().read(offset, length)
            raise GenspotError("gone")

    content = zip_bytes(IMAGES)
    source = Gone(content)
    assert error_of(members_of, source, only_batch(content, tmp_path)) == "gone"
    assert len(source.reads) == 1


BOMB = bytes(1 << 20)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Entry("a.png", b"x", crc=1), "its CRC-32 is 8cdc1683, expected is 00000001"),
        (Entry("a.png", BOMB, DEFLATED, size=9), "does not decompress to 9 bytes"),
        (Entry("a.png", b"xyz", DEFLATED, size=4), "does not decompress to 4 bytes"),
        (Entry("a.png", b"xyz", DEFLATED, size=0), "does not decompress to 0 bytes"),
        (Entry("a.png", b"xyz", DEFLATED, compressed=3), "does not decompress to 3 bytes"),
        (Entry("a.png", b"xyz", local_name="b.png"), "its header differs"),
        (Entry("a.png", b"xyz", local_name="../../b.png"), "its header differs"),
        (Entry("a.png", b"xyz", offset=1), "its header differs"),
    ],
)
@pytest.mark.parametrize("zip64", [False, True])
def test_read_batch_of_a_member_that_lies_says_so(
    tmp_path: Path, entry: Entry, expected: str, zip64: bool
) -> None:
    content = zip_bytes([entry], zip64=zip64)
    message = error_of(members_of, MemorySource(content), only_batch(content, tmp_path))
    assert "member a.png at byte" in message
    assert expected in message


def test_read_batch_of_a_bomb_takes_no_more_memory_than_is_stated(tmp_path: Path) -> None:
    content = zip_bytes([Entry("a.png", bytes(1 << 25), DEFLATED, size=1_000)])
    batch = only_batch(content, tmp_path)
    tracemalloc.start()
    try:
        error_of(members_of, MemorySource(content), batch)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_read_batch_of_a_member_with_bytes_after_its_stream_says_so(tmp_path: Path) -> None:
    data = Entry("", b"xyz", DEFLATED).content
    entry = Entry("a.png", data + b"more", STORED, crc=zlib.crc32(b"xyz"))
    content = bytearray(zip_bytes([entry], zip64=False))
    directory = zipfile.ZipFile(io.BytesIO(bytes(content))).start_dir
    content[8] = content[directory + 10] = DEFLATED  # the method, in both headers
    for position in (22, directory + 24):  # the uncompressed size
        content[position] = 3
    message = error_of(
        members_of, MemorySource(bytes(content)), only_batch(bytes(content), tmp_path)
    )
    assert "does not decompress to 3 bytes" in message


def test_read_batch_whose_local_extra_field_reaches_too_far_says_so(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([Entry("a.png", b"xyz")]))
    content[28:30] = b"\xff\xff"  # its length
    source = MemorySource(bytes(content))
    message = error_of(members_of, source, only_batch(bytes(content), tmp_path))
    assert "reaches into what follows it" in message


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_read_batch_with_a_flipped_bit_is_right_or_refused_in_one_line(
    tmp_path: Path, method: int
) -> None:
    rng = random.Random(0)
    content = zip_bytes(named_entries(IMAGES, method, folders=False))
    batch = only_batch(content, tmp_path)
    refused = 0
    for _ in range(300):
        damaged = flip_bit(content[: batch.length], rng) + content[batch.length :]
        try:
            assert dict(read_batch(MemorySource(damaged), batch)) == IMAGES
        except GenspotError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 200
