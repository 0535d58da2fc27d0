from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from genspot.report.evidence import grade_counts, grade_rows, reference_rows
from genspot.report.predictions import prediction_table, print_predictions
from helpers.references import make_reference

SCORES = pa.table(
    {
        "path": ["a.png", "b.png"],
        "logit": pa.array([-3.0, 2.5], pa.float32()),
        "padded": [True, False],
        "grade": ["cannot say", "moderate evidence"],
        "p_value": pa.array([None, 0.0125]),
        "references": [0, 159],
        "compared_with": ["", "JPEG, quality 60 to 80"],
        "reason": ["it is too small", ""],
    }
)


def test_prediction_table_keeps_its_columns_and_adds_the_grades() -> None:
    table = prediction_table(SCORES)
    plain = prediction_table(SCORES.select(["path", "logit", "padded"]))
    assert table.select(plain.column_names).equals(plain)
    assert table.column_names[len(plain.column_names) :] == SCORES.column_names[3:]
    assert table["grade"].to_pylist() == ["moderate evidence", "cannot say"]


def test_grade_rows_say_with_what_a_photo_was_compared_or_why_nothing_is_said() -> None:
    assert grade_rows(SCORES.to_pylist()) == [
        ("a.png", "cannot say", "", "it is too small", "-3.00"),
        (
            *("b.png", "moderate evidence", "1.2%"),
            *("159 real photos: JPEG, quality 60 to 80", "2.50"),
        ),
    ]
    assert dict(grade_counts(SCORES)) == {
        "strong evidence": "0",
        "moderate evidence": "1",
        "weak evidence": "0",
        "no evidence": "0",
        "cannot say": "1",
    }


def test_print_predictions_has_the_grade_first_and_no_uncalibrated_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    unreadable = pa.table({"path": pa.array([], pa.string()), "reason": pa.array([], pa.string())})
    print_predictions(prediction_table(SCORES), unreadable, tmp_path, 224)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[:2] == ["image", "grade"]
    assert lines[1].startswith("b.png\tmoderate evidence\t1.2%\t159 real photos")
    assert "No grade says that a photo is real" in lines[3]
    assert not any("uncalibrated" in line or "undecided" in line for line in lines)


def test_reference_rows_count_each_kind() -> None:
    reference = make_reference((60, {}), (45, {"jpeg_quality": 75}))
    rows = reference_rows(reference)
    assert [row[:2] for row in rows] == [
        ("JPEG, quality 60 to 80, 1 to 4 megapixels", "45"),
        ("no traces of JPEG, 1 to 4 megapixels", "60"),
    ]
