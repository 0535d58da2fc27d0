from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genspot.common.errors import GenspotError
from genspot.evaluation.references import (
    Reference,
    beside,
    check_number,
    find_cell,
    is_reference,
    read_reference,
)
from helpers.references import ABOUT, TRAITS, make_reference


def test_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = make_reference((60, {}), (60, {"jpeg_quality": 75, "format": "JPEG"}))
    file = tmp_path / "a.parquet"
    Reference(written.table, ABOUT | {"inputs": ["photos"]}).write(file)
    read = read_reference(file, ABOUT)
    assert read.table.equals(written.table) and read.about["inputs"] == ["photos"]
    assert read.logits.tolist() == written.logits.tolist()
    assert sorted(read.counts.values()) == [60, 60]


def test_settings_are_the_same_whether_in_lists_or_in_tuples(tmp_path: Path) -> None:
    reference = make_reference((99, {}))
    Reference(reference.table, ABOUT | {"model": {"resize": (2, 3)}}).write(tmp_path / "a.parquet")
    for resize in ((2, 3), [2, 3]):
        read_reference(tmp_path / "a.parquet", ABOUT | {"model": {"resize": resize}})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"checkpoint": "cd"}, r"another checkpoint \(checkpoint=ab12, not cd\)"),
        ({"crop": None}, r"another crop \(crop=32, not none\)"),
        ({"protocol": "jpeg_75"}, r"another protocol \(protocol=none, not jpeg_75\)"),
        ({"model": {"name": "large"}}, "other settings of the model; make"),
    ],
)
def test_reference_of_other_settings_is_refused_in_one_line(
    change: dict[str, object], expected: str, tmp_path: Path
) -> None:
    make_reference((99, {})).write(tmp_path / "a.parquet")
    with pytest.raises(GenspotError, match=expected) as caught:
        read_reference(tmp_path / "a.parquet", ABOUT | change)
    assert "\n" not in str(caught.value) and "reference=none" in str(caught.value)


def write(file: Path, table: pa.Table, about: object) -> None:
    metadata = {b"genspot.reference": json.dumps(about).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), file)


def test_what_is_no_reference_is_refused_in_one_line(tmp_path: Path) -> None:
    table, about = make_reference((99, {})).table, ABOUT | {"version": 1}
    file = tmp_path / "a.parquet"
    nan = table.set_column(0, "logit", pa.array([float("nan")] * 99, pa.float32()))
    null = table.set_column(3, "width", pa.nulls(99, pa.int64()))
    faults = [
        ("no column flat_share", table.drop_columns(["flat_share"]), about),
        ("98 reference photos are too few", table.slice(0, 98), about),
        ("not finite", nan, about),
        ("empty cells in the column width", null, about),
        ("version 2", table, about | {"version": 2}),
        ("no reference", table, [1]),
        ("no reference", table, {}),
    ]
    for expected, content, metadata in faults:
        write(file, content, metadata)
        with pytest.raises(GenspotError, match=expected) as caught:
            read_reference(file, ABOUT)
        assert "\n" not in str(caught.value)
    pq.write_table(table.replace_schema_metadata({b"genspot.reference": b"[" * 100_000}), file)
    with pytest.raises(GenspotError, match="no reference of this version"):
        read_reference(file, ABOUT)
    pq.write_table(table, file)
    with pytest.raises(GenspotError, match="no reference of this version"):
        read_reference(file, ABOUT)
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(GenspotError, match="no reference of this version"):
        read_reference(file, ABOUT)
    with pytest.raises(GenspotError, match="does not exist; task=reference"):
        read_reference(tmp_path / "none.parquet", ABOUT)


def test_fewer_than_99_references_are_too_few() -> None:
    check_number(99)
    with pytest.raises(GenspotError, match="98 reference photos are too few"):
        check_number(98)


@pytest.mark.parametrize(
    ("traits", "cell"),
    [
        ({}, ("no traces of JPEG", "", "1 to 4 megapixels")),
        ({"jpeg_quality": 59}, ("JPEG", "quality below 60", "1 to 4 megapixels")),
        ({"jpeg_quality": 80}, ("JPEG", "quality 80 to 90", "1 to 4 megapixels")),
        ({"jpeg_quality": 90}, ("JPEG", "quality 90 and above", "1 to 4 megapixels")),
        ({"width": 10}, ("no traces of JPEG", "", "below 0.25 megapixels")),
        ({"width": 16_000}, ("no traces of JPEG", "", "16 and above megapixels")),
    ],
)
def test_cell_names_the_classes_of_the_traits(
    traits: dict[str, int], cell: tuple[str, ...]
) -> None:
    assert find_cell(TRAITS | traits) == cell


def test_reference_lies_beside_its_checkpoint_and_not_that_of_another() -> None:
    assert beside(Path("runs/a/best.ckpt")) == Path("runs/a/best.reference.parquet")
    assert beside(Path("runs/a/last.ckpt")) != beside(Path("runs/a/best.ckpt"))


def test_file_is_a_reference_by_its_metadata_alone(tmp_path: Path) -> None:
    reference, file = make_reference((99, {})), tmp_path / "a.parquet"
    reference.write(file)
    assert is_reference(file)
    pq.write_table(reference.table, file)  # as a user's own table
    assert not is_reference(file)
    file.write_bytes(b"PAR1 and no more")
    assert not is_reference(file) and not is_reference(tmp_path)
