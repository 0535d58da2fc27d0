"""The table of deliveries, and the lines that are printed of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from genspot.report.deliveries import delivery_table, print_deliveries

PHOTOS = pa.table({"path": ["a.png", "[b].png", "c.png"], "logit": [4.0, 0.5, -3.0]})
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
