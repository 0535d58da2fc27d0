"""Columns of Parquet and Arrow files say labels, classes and generators in several forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genspot.data.places import find_generators, load_samples
from genspot.data.settings import DEFAULT_LABELS
from helpers.containers import METADATA, image_table, write_table
from helpers.errors import error_of

MIXED = [0, 1, 2, None, -1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([0, 1, 1]), [0, 1, 1]),
        (pa.array([False, True, True]), [0, 1, 1]),
        (pa.array([0.0, 1.0, None]), [0, 1, -1]),
        (pa.array(["Real", "Fake", "AI"]), [0, 1, 1]),
        (pa.array(["0_real", "nature", " 1 "]), [0, 0, 1]),
        (pa.array(["real", "fake", None]).dictionary_encode(), [0, 1, -1]),
        (pa.array([2, 1, 0]), [-1, 1, 0]),
        (pa.array(["", "fake", "real"]), [-1, 1, 0]),
    ],
)
def test_labels_are_numbers_booleans_or_names(
    tmp_path: Path, values: pa.Array, expected: list[int]
) -> None:
    file = write_table(tmp_path / "a.parquet", image_table([b"x"] * 3, label=values), rows=2)
    listing = load_samples(str(file), "gan", "any")
    known = [(f"{file}/{row}", label) for row, label in enumerate(expected) if label >= 0]
    found = listing.table.select(["path", "label"]).to_pylist()
    assert [(row["path"], row["label"]) for row in found] == known
    assert len(listing.skipped) == expected.count(-1)
    assert all("label" in reason for reason in listing.skipped["reason"].to_pylist())


def test_names_of_hugging_face_come_before_numbers(tmp_path: Path) -> None:
    table = image_table([b"x"] * 2, label=[0, 1])  # 0 is fake there
    file = write_table(tmp_path / "a.arrow", table.replace_schema_metadata(METADATA))
    assert load_samples(str(file), "gan", "any").table["label"].to_pylist() == [1, 0]


def test_columns_may_be_chosen(tmp_path: Path) -> None:
    table = pa.table(
        {"a": [b"x", b"y"], "b": [b"z", b"w"], "is_fake": [1, 0], "kind": ["cat", "dog"]}
    )
    file = str(write_table(tmp_path / "a.parquet", table))
    place = {"path": file, "image": "b", "label": "is_fake", "class": "kind"}
    rows = load_samples(place, "gan", "any").table.to_pylist()
    assert [(row["path"], row["label"], row["class"]) for row in rows] == [
        (f"{file}/b/0", 1, "cat"),
        (f"{file}/b/1", 0, "dog"),
    ]
    message = error_of(load_samples, file, "gan", "any")
    assert "images in several columns, a, b" in message and "image: COLUMN" in message
    message = error_of(load_samples, {"path": file, "image": "a"}, "gan", "any")
    assert "no column label" in message and "is_fake (int64)" in message
    for key, name in (("image", "kind"), ("label", "gone"), ("class", "gone")):
        wrong: dict[str, Any] = {**place, key: name}
        assert f"{name}; " in error_of(load_samples, wrong, "gan", "any")


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_tables_without_rows_columns_or_their_end_are_refused(tmp_path: Path, name: str) -> None:
    empty = write_table(tmp_path / name, image_table([], label=pa.array([], pa.int64())))
    assert "no image in" in error_of(load_samples, str(empty), "gan", "any")
    no_images = write_table(tmp_path / f"b{name}", pa.table({"label": [0, 1]}))
    assert "no column of images" in error_of(load_samples, str(no_images), "gan", "any")
    whole = write_table(tmp_path / f"c{name}", image_table([bytes(5000)] * 9, label=[0] * 9))
    whole.write_bytes(whole.read_bytes()[:-3000])
    message = error_of(load_samples, str(whole), "gan", "any")
    assert str(whole) in message and "cannot be read" in message


def test_generators_are_sets_that_share_the_reals_of_none(tmp_path: Path) -> None:
    columns = {"label": [0, 1, 1, 0], "generator": ["Real", "sd", "flux", None]}
    file = str(write_table(tmp_path / "a.parquet", image_table([b"x"] * 4, **columns)))
    found = find_generators({"path": file}, "mine", DEFAULT_LABELS)
    assert found is not None
    assert (found.names, found.shared_reals) == (["sd", "flux"], True)
    rows = load_samples({"path": file, "only": "flux"}, "flux", "any").table["path"].to_pylist()
    assert rows == [f"{file}/0", f"{file}/2", f"{file}/3"]
    assert find_generators({"path": str(tmp_path / "folder")}, "mine", DEFAULT_LABELS) is None


def test_limit_takes_the_first_rows(tmp_path: Path) -> None:
    table = image_table([b"x"] * 3, label=[0, 1, 0])
    file = str(write_table(tmp_path / "a.parquet", table))
    assert len(load_samples({"path": file, "limit": 2}, "gan", "any").table) == 2


def test_listing_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_table(tmp_path / "a.parquet", image_table([b"x"] * 3, label=[0, 1, 0]))
    monkeypatch.setattr("genspot.common.image_tables.ParquetImages._group", None)
    assert len(load_samples(str(file), "gan", "any").table) == 3


def test_a_column_of_images_holds_no_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    images = pa.array(
        [{"bytes": b"", "path": "a"}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pq.write_table(pa.table({"image": images, "label": [0]}), file)
    message = error_of(load_samples, {"path": str(file), "label": "image"}, "mine", "any")
    assert (
        message
        == f"mine: the column image of {file} holds no texts or numbers: give another for label"
    )
