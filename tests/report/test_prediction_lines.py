from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.report.prediction_lines import print_predictions
from genspot.report.predictions import join_predictions, prediction_table, with_facts
from helpers.predictions import FACTS, GRADED, SCORES

UNREADABLE = pa.table({"path": ["torn.png"], "reason": ["truncated"]})


def predicted(scores: pa.Table, name: str = "own") -> pa.Table:
    return with_facts(prediction_table(scores), FACTS._replace(detector=name))


def test_print_predictions_states_the_limits(capsys, tmp_path: Path) -> None:
    print_predictions(predicted(SCORES), UNREADABLE, tmp_path)
    printed = capsys.readouterr().out
    for text in (
        *("[b].png", "not calibrated", str(tmp_path / "predictions.csv")),
        *("Only the central 224 × 224 pixels", "1 of the images are smaller than the crop"),
        "unreadable, skipped: torn.png (truncated)",
    ):
        assert text in printed


def many(count: int) -> pa.Table:
    """Return the predictions of `count` images, a tenth of them undecided, half above 0."""
    logits = [3.0 if row % 10 else 0.0 for row in range(count)]
    logits = [logit if row % 2 else -logit for row, logit in enumerate(logits)]
    paths = [f"{row}.png" for row in range(count)]
    padded = pa.repeat(False, count)
    return predicted(pa.table({"path": paths, "logit": logits, "padded": padded}))


def test_print_predictions_without_a_terminal_has_a_line_per_image(capsys, tmp_path: Path) -> None:
    torn = pa.table({"path": [f"{row}\x1b.png" for row in range(30)], "reason": ["torn"] * 30})
    print_predictions(many(500), torn, tmp_path)
    printed = capsys.readouterr().out
    rows = [line.split("\t") for line in printed.splitlines() if "\t" in line]
    assert rows[0] == ["image", "logit", "probability", "verdict (uncalibrated)"]
    assert rows[1] == ["1.png", "3.00", "0.9526", "looks generated"]
    assert len(rows) == 1 + 500
    assert all(line.replace("\t", "").isprintable() for line in printed.splitlines())
    assert printed.count("torn") == 5 and "and 25 more" in printed


def test_print_predictions_of_many_images_in_a_terminal_is_a_summary(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    torn = pa.table({"path": [f"{row}.png" for row in range(30)], "reason": ["torn"] * 30})
    print_predictions(many(5000), torn, tmp_path)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 80
    for name, count in (("looks generated", 2500), ("undecided", 500), ("no traces found", 2000)):
        assert re.search(rf"{name} +│ +{count} ", printed)
    assert re.search(r"the 20 images with the\s+highest\s+logits\s+of 5000", printed)
    assert printed.count("torn") == 5
    assert "and 25 more" in printed
    print_predictions(many(50), torn[:0], tmp_path)
    assert capsys.readouterr().out.count(".png") == 50


def test_print_predictions_quietly_says_where_the_files_are(capsys, tmp_path: Path) -> None:
    print_predictions(predicted(SCORES), UNREADABLE, tmp_path, quiet=True)
    assert capsys.readouterr().out.splitlines() == [
        f"predictions: {tmp_path}/predictions.csv",
        f"unreadable:  {tmp_path}/unreadable.csv",
    ]


def rows_of(printed: str) -> list[list[str]]:
    return [line.split("\t") for line in printed.splitlines() if "\t" in line]


def test_print_predictions_of_grades_has_them_first_and_no_uncalibrated_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    print_predictions(predicted(GRADED), UNREADABLE[:0], tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == ["image", "grade", "false-alarm rate", "compared with", "logit"]
    assert lines[1].split("\t") == [
        *("b.png", "moderate evidence", "1.2%", "159 real photos: JPEG, quality 60 to 80", "2.50")
    ]
    assert lines[2].split("\t") == ["a.png", "cannot say", "", "it is too small", "-3.00"]
    assert "No grade says that a photo is real" in lines[3]
    assert not any("uncalibrated" in line or "undecided" in line for line in lines)


def test_print_predictions_of_several_detectors_names_the_detector_of_each_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plain = predicted(GRADED.select(["path", "logit", "padded"]), "plain")
    torn = pa.table({"path": ["c.png"], "reason": ["too large"], "detector": ["plain"]})
    print_predictions(join_predictions([predicted(GRADED, "graded"), plain]), torn, tmp_path)
    printed = capsys.readouterr().out
    heading, *rows = rows_of(printed)
    assert heading[:3] == ["image", "detector", "grade"]
    assert [row[:3] for row in rows] == [
        ["b.png", "graded", "moderate evidence"],
        ["b.png", "plain", "looks generated (uncalibrated)"],
        ["a.png", "graded", "cannot say"],
        ["a.png", "plain", "no traces found (uncalibrated)"],
    ]
    assert "plain: Only the central 224 × 224 pixels" in printed
    assert "unreadable by plain, skipped: c.png (too large)" in printed


def test_print_predictions_shows_decisions_and_probabilities_where_they_were_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = with_facts(prediction_table(GRADED), FACTS, fpr=0.02)
    table = table.append_column("prior", pa.array([0.1, 0.1]))
    table = table.append_column("likelihood_ratio", pa.array([7.25, None]))
    print_predictions(table, UNREADABLE[:0], tmp_path)
    heading, first, second = rows_of(capsys.readouterr().out)
    assert dict(zip(heading, first, strict=True)) == {
        "image": "b.png",
        "grade": "moderate evidence",
        "decision": "no alarm",
        "false-alarm rate": "1.2%",
        "compared with": "159 real photos: JPEG, quality 60 to 80",
        "logit": "2.50",
        "probability": "0.9241",
        "likelihood ratio": "7.25",
    }
    assert (second[2], second[-1]) == ("cannot say", "")


def test_print_predictions_counts_the_grades_of_each_detector_in_a_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    second = many(100).slice(0, 60)
    place = second.column_names.index("detector")
    second = second.set_column(place, "detector", pa.array(["other"] * 60))
    print_predictions(join_predictions([many(100), second]), UNREADABLE[:0], tmp_path)
    printed = capsys.readouterr().out
    assert re.search(r"looks generated +│ +50 │ +50 ", printed)
    assert re.search(r"no traces found +│ +40 │ +0 ", printed)
    assert "the first 20 of 160 rows" in printed
