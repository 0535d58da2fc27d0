"""The table of deliveries, and the lines that are printed of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from genspot.report.deliveries import delivery_table, movement, print_deliveries

PHOTOS = pa.table({"path": ["a.png", "[b].png", "c.png"], "logit": [4.0, 0.5, -3.0]})
PHOTOS = PHOTOS.append_column(
    "verdict", pa.array(["looks generated", "undecided", "no traces found"])
)
NAMES = ("one", "two")
SCORES = pa.table(
    {
        "path": ["[b].png", "a.png", "a.png", "[b].png", "c.png"],
        "generator": ["two", "one", "two", "one", "one"],
        "logit": [-0.5, 2.0, -1.5, 0.25, float("nan")],
        "padded": [False, False, True, False, False],
    }
)
TOO_LARGE = "more memory than there is"
UNREADABLE = pa.table({"path": ["c.png"], "generator": ["two"], "reason": [TOO_LARGE]})


def table() -> pa.Table:
    return delivery_table(PHOTOS, NAMES, SCORES, UNREADABLE)


def test_delivery_table_has_a_row_for_each_delivery_of_each_photo() -> None:
    rows = table().to_pylist()
    assert [(row["path"], row["delivery"]) for row in rows] == [
        (path, name) for path in PHOTOS["path"].to_pylist() for name in NAMES
    ]
    assert [row["logit"] for row in rows] == [2.0, -1.5, 0.25, -0.5, None, None]
    assert [row["change"] for row in rows] == [-2.0, -5.5, -0.25, -1.0, None, None]
    said = ["looks generated", "no traces found", "undecided", "undecided", None, None]
    assert [row["verdict"] for row in rows] == said
    assert [row["padded"] for row in rows] == [False, True, False, False, None, None]
    assert [row["reason"] for row in rows] == 4 * [None] + ["logit nan", TOO_LARGE]


def test_print_deliveries_has_a_line_per_photo_and_counts_what_has_no_score(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    print_deliveries(PHOTOS, table(), tmp_path)
    printed = capsys.readouterr().out
    rows = [line.split("\t") for line in printed.splitlines() if "\t" in line]
    assert rows == [
        ["image", "logit", "as delivered", "keep the verdict", "sensitivity"],
        ["a.png", "4.00", "-1.50 to 2.00", "1 of 2", "unstable"],
        ["[b].png", "0.50", "-0.50 to 0.25", "2 of 2", "stable"],
        ["c.png", "-3.00", "–", "–", "not known"],
    ]
    assert "2 of 6 deliveries have no score; deliveries.csv says why." in printed
    assert "scored as 2 services and devices deliver it" in printed
    assert printed.splitlines()[-1].endswith(str(tmp_path / "deliveries.csv"))


def test_print_deliveries_when_all_are_scored_says_nothing_of_missing_scores(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    print_deliveries(PHOTOS.slice(0, 2), table().slice(0, 4), tmp_path)
    assert "no score" not in capsys.readouterr().out


def test_print_deliveries_quietly_prints_where_the_table_is_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    print_deliveries(PHOTOS, table(), tmp_path, quiet=True)
    assert capsys.readouterr().out == f"deliveries:  {tmp_path}/deliveries.csv\n"


def test_deliveries_of_graded_photos_keep_grades_and_are_not_compared_where_there_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scores = SCORES.append_column("p_value", pa.array([0.5, 0.004, 0.03, None, 0.2]))
    grades = ["no evidence", "strong evidence", "moderate evidence", "cannot say", "no evidence"]
    scores = scores.append_column("grade", pa.array(grades))
    scores = scores.append_column("reason", pa.array(["", "", "", "too large", ""]))
    rows = delivery_table(PHOTOS, NAMES, scores, UNREADABLE)
    assert rows["grade"].to_pylist()[:4] == [
        *("strong evidence", "moderate evidence", "cannot say", "no evidence")
    ]
    assert rows["grade"].null_count == 2  # without a score
    assert rows["reason"].to_pylist() == [None, None, "too large", None, "logit nan", TOO_LARGE]
    own = pa.array(["strong evidence", "no evidence", "cannot say"])
    print_deliveries(PHOTOS.append_column("grade", own), rows, tmp_path)
    printed = capsys.readouterr().out
    assert "keep the grade" in printed and "compared with the reference photos" in printed
    cells = [line.split("\t")[3:] for line in printed.splitlines() if "png" in line]
    assert cells == [["1 of 2", "unstable"], ["1 of 1", "stable"], ["–", "not known"]]
    first = PHOTOS.slice(2, 1).append_column("grade", pa.array(["cannot say"])).to_pylist()[0]
    assert movement(first, rows.slice(0, 2).to_pylist()).total == 0


def test_deliveries_of_several_detectors_have_a_line_for_each(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tables, photos = [], []
    for name, order in (("second", [1, 0]), ("first", [0, 1])):
        part = PHOTOS.take(order)
        photos.append(part.append_column("detector", pa.array([name] * 2)))
        rows = delivery_table(part, NAMES, SCORES, UNREADABLE)
        tables.append(rows.append_column("detector", pa.array([name] * 4)))
    predictions = pa.concat_tables(photos).take([2, 1, 0, 3])
    print_deliveries(predictions, pa.concat_tables(tables), tmp_path)
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line]
    assert [(line[0], line[1], line[3]) for line in lines[1:]] == [
        ("a.png", "first", "-1.50 to 2.00"),
        ("a.png", "second", "-1.50 to 2.00"),
        ("[b].png", "second", "-0.50 to 0.25"),
        ("[b].png", "first", "-0.50 to 0.25"),
    ]
