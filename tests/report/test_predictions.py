from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.report.predictions import prediction_table, print_predictions, verdict

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


def test_prediction_table_is_sorted_and_uncalibrated() -> None:
    table = prediction_table(SCORES)
    assert table["path"].to_pylist() == ["[b].png", "[c].png", "[a].png"]
    logits = table["logit"].to_numpy()
    assert logits.tolist() == [2.5, 0.5, -30.0]
    assert table["probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-12)
    assert table["verdict"].to_pylist() == ["looks generated", "undecided", "no traces found"]
    assert table["calibrated"].to_pylist() == 3 * [False]
    assert table["padded"].to_pylist() == [True, False, False]


def test_print_predictions_states_the_limits(capsys, tmp_path: Path) -> None:
    print_predictions(prediction_table(SCORES), UNREADABLE, tmp_path, 224)
    printed = " ".join(capsys.readouterr().out.split())
    for text in (
        *("[b].png", "not calibrated", str(tmp_path / "predictions.csv")),
        *("Only the central 224 × 224 pixels", "1 of the images are smaller than the crop"),
        "unreadable, skipped: torn.png (truncated)",
    ):
        assert text in printed


def test_print_predictions_without_a_readable_image_raises(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="no image could be read: truncated"):
        print_predictions(prediction_table(SCORES[:0]), UNREADABLE, tmp_path, None)
