"""Columns of encoded images: which one it is, and what is read of it."""

from __future__ import annotations

import json
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genspot.common import image_tables
from genspot.common.containers import open_container, read_bytes
from genspot.common.image_tables import ArrowImages, ParquetImages, image_columns
from genspot.common.images import UnreadableError
from helpers.containers import STRUCT, image_table, write_table

CONTENTS = [bytes([number]) * 50 for number in range(10)]


@pytest.mark.parametrize(
    ("fields", "described", "expected"),
    [
        ([("image", STRUCT), ("mask", STRUCT)], [], ["image"]),
        ([("IMG", pa.binary()), ("embedding", pa.binary())], [], ["IMG"]),
        ([("image", pa.binary()), ("photo", STRUCT)], ["photo"], ["photo"]),
        ([("photo", pa.large_binary()), ("label", pa.int64())], [], ["photo"]),
        ([("one", STRUCT), ("two", STRUCT)], [], ["one", "two"]),
        ([("one", STRUCT), ("two", STRUCT)], ["one", "two"], ["one", "two"]),
        ([("image", pa.string()), ("box", pa.struct([("x", pa.int32())]))], [], []),
    ],
)
def test_image_columns_are_described_then_named_then_of_the_type(
    fields: list[tuple[str, pa.DataType]], described: list[str], expected: list[str]
) -> None:
    features = {name: {"_type": "Image"} for name in described}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    assert image_columns(pa.schema(fields, metadata=metadata)) == expected


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_read_bytes_of_a_table_takes_the_row(tmp_path: Path, name: str) -> None:
    table = image_table([*CONTENTS, None]).append_column("other", [[*CONTENTS[::-1], b""]])
    file = write_table(tmp_path / name, table, rows=3)
    assert [read_bytes(f"{file}/{row}") for row in range(10)] == CONTENTS
    assert read_bytes(f"{file}/other/1") == CONTENTS[8]
    for place, reason in {
        "10": "null",
        "other/10": "empty",
        "11": "no row",
        "-1": "no image",
        "x": "no image",
        "gone/1": "no image",
    }.items():
        with pytest.raises(UnreadableError, match=reason):
            read_bytes(f"{file}/{place}")
    with pytest.raises(UnreadableError, match="more than 49"):
        read_bytes(f"{file}/0", max_bytes=49)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_nulls_are_named_with_the_file_that_is_the_image(tmp_path: Path, name: str) -> None:
    rows = [{"bytes": b"a", "path": "x"}, {"bytes": None, "path": "y.png"}, None]
    table = pa.table({"image": pa.array([*rows, {"bytes": b"b", "path": None}], STRUCT)})
    images = open_container(str(write_table(tmp_path / name, table, rows=2)))
    assert isinstance(images, ParquetImages | ArrowImages)
    assert images.nulls("image") == {1: "y.png", 2: None}


def test_parquet_in_order_reads_each_row_group_once_and_keeps_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_table(tmp_path / "a.parquet", image_table(CONTENTS), rows=3)
    images = open_container(str(file))
    assert isinstance(images, ParquetImages)
    read = []

    class Counting:
        def read_row_group(self, number: int, *arguments: object, **options: object) -> pa.Table:
            read.append(number)
            return pq.ParquetFile(file).read_row_group(number, *arguments, **options)

    monkeypatch.setattr(images, "file", Counting())
    monkeypatch.setattr(image_tables, "KEPT_BYTES", 1)
    for row in range(10):
        images.value("image", row)
    assert read == [0, 1, 2, 3]
    images.value("image", 0)
    assert read == [0, 1, 2, 3, 0] and len(image_tables._groups) == 1
    assert images.group_bytes("image") > 150
    monkeypatch.setattr(image_tables, "MAX_GROUP_BYTES", 100)
    with pytest.raises(UnreadableError, match="write the file with smaller ones"):
        images.value("image", 5)


def test_threads_that_share_the_cache_of_row_groups_read_the_right_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_table(tmp_path / "a.parquet", image_table(CONTENTS), rows=1)
    monkeypatch.setattr(image_tables, "KEPT_BYTES", 200)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as threads:
            rows = [row * 7 % 10 for row in range(2000)]
            found = threads.map(lambda row: read_bytes(f"{file}/{row}"), rows)
            assert list(found) == [CONTENTS[row] for row in rows]
    finally:
        sys.setswitchinterval(interval)


def test_arrow_with_wrong_offsets_is_refused_and_does_not_crash(tmp_path: Path) -> None:
    table = pa.table({"image": pa.array([b"abc", b"def"], pa.binary())})
    file = write_table(tmp_path / "a.arrow", table)
    right, wrong = (struct.pack("<3i", 0, 3, end) for end in (6, 2**30))
    assert file.read_bytes().count(right) == 1
    file.write_bytes(file.read_bytes().replace(right, wrong))
    with pytest.raises(UnreadableError, match="damaged"):
        read_bytes(f"{file}/1")
