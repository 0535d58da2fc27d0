from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from genspot.report.predictions import (
    VERDICTS,
    prediction_table,
    print_predictions,
    verdict,
    verdict_counts,
)

UNREADABLE = pa.table({"path": ["torn.png"], "reason": ["truncated"]})
SCORES = pa.table(
    {
        "path": ["[a].png", "[b].png", "[c].png"],
        "logit": pa.array([-30.0, 2.5, 0.5], pa.float32()),
        "padded": [False, True, False],
    }
)


def test_verdict_is_undecided_near_zero() -> None:
    assert [verdict(logit) for logit in (-0.99, 0.99)] == 2 * ["undecided"]
    assert (verdict(-1.0), verdict(1.0)) == ("no traces found", "looks generated")


def test_verdict_counts_are_those_of_the_verdicts() -> None:
    logits = np.array([-5, -1, -0.99, 0, 0.99, 1, 1, 7])
    said = [verdict(logit) for logit in logits]
    assert verdict_counts(logits) == [said.count(name) for name in VERDICTS] == [3, 3, 2]


def test_prediction_table_is_sorted_and_uncalibrated() -> None:
    table = prediction_table(SCORES)
    assert table["path"].to_pylist() == ["[b].png", "[c].png", "[a].png"]
    logits = table["logit"].to_numpy()
    assert logits.tolist() == [2.5, 0.5, -30.0]
    assert table["probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-12)
    assert table["verdict"].to_pylist() == ["looks generated", "undecided", "no traces found"]
    assert table["calibrated"].to_pylist() == 3 * [False]
    assert table["padded"].to_pylist() == [True, False, False]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_no_verdict_is_made_of_a_logit_that_is_not_finite(logit: float) -> None:
    with pytest.raises(ValueError, match="no verdict"):
        verdict(logit)


def test_print_predictions_states_the_limits(capsys, tmp_path: Path) -> None:
    print_predictions(prediction_table(SCORES), UNREADABLE, tmp_path, 224)
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
    return prediction_table(pa.table({"path": paths, "logit": logits, "padded": padded}))


def test_print_predictions_without_a_terminal_has_a_line_per_image(capsys, tmp_path: Path) -> None:
    torn = pa.table({"path": [f"{row}\x1b.png" for row in range(30)], "reason": ["torn"] * 30})
    print_predictions(many(500), torn, tmp_path, None)
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
    print_predictions(many(5000), torn, tmp_path, None)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 80
    for name, count in (("looks generated", 2500), ("undecided", 500), ("no traces found", 2000)):
        assert re.search(rf"{name} +│ +{count} ", printed)
    assert re.search(r"the 20 images with the\s+highest\s+logits\s+of 5000", printed)
    assert printed.count("torn") == 5
    assert "and 25 more" in printed
    print_predictions(many(50), torn[:0], tmp_path, None)
    assert capsys.readouterr().out.count(".png") == 50


def test_print_predictions_quietly_says_where_the_files_are(capsys, tmp_path: Path) -> None:
    print_predictions(prediction_table(SCORES), UNREADABLE, tmp_path, 224, quiet=True)
    assert capsys.readouterr().out.splitlines() == [
        f"predictions: {tmp_path}/predictions.csv",
        f"unreadable:  {tmp_path}/unreadable.csv",
    ]
