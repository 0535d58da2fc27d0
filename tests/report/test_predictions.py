from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.report.predictions import prediction_table, print_predictions, verdict

NO_UNREADABLE = pa.table({"path": pa.array([], pa.string()), "reason": pa.array([], pa.string())})


def predictions(logits: list[float]) -> pa.Table:
    scores = {
        "path": [f"[b]{number}.png" for number in range(len(logits))],
        "logit": pa.array(logits, pa.float32()),
        "padded": [False, True, False][: len(logits)],
    }
    return prediction_table(pa.table(scores))


@pytest.mark.parametrize(
    ("logit", "text"),
    [
        (-1.0, "no traces found"),
        (-0.99, "undecided"),
        (0.99, "undecided"),
        (1.0, "looks generated"),
    ],
)
def test_verdict_is_undecided_near_zero(logit: float, text: str) -> None:
    assert verdict(logit) == text


def test_prediction_table_is_sorted_and_uncalibrated() -> None:
    table = predictions([-30.0, 2.5, 0.5])
    assert table["path"].to_pylist() == ["[b]1.png", "[b]2.png", "[b]0.png"]
    logits = table["logit"].to_numpy()
    assert logits.tolist() == [2.5, 0.5, -30.0]
    assert table["probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-12)
    assert table["verdict"].to_pylist() == ["looks generated", "undecided", "no traces found"]
    assert table["calibrated"].to_pylist() == 3 * [False]
    assert table["padded"].to_pylist() == [True, False, False]


def test_print_predictions_states_the_limits(capsys, tmp_path: Path) -> None:
    unreadable = pa.table({"path": ["torn.png"], "reason": ["truncated"]})
    print_predictions(predictions([-30.0, 2.5, 0.5]), unreadable, tmp_path, 224)
    printed = " ".join(capsys.readouterr().out.split())
    for text in (
        "[b]1.png",
        "not calibrated",
        "Only the central 224 × 224 pixels",
        "1 of the images are smaller than the crop",
        "unreadable, skipped: torn.png (truncated)",
        str(tmp_path / "predictions.csv"),
    ):
        assert text in printed
    print_predictions(predictions([1.0]), NO_UNREADABLE, tmp_path, None)
    assert "central" not in capsys.readouterr().out


def test_print_predictions_without_a_readable_image_raises(tmp_path: Path) -> None:
    unreadable = pa.table({"path": ["torn.png"], "reason": ["truncated"]})
    with pytest.raises(GenspotError, match="no image could be read: truncated"):
        print_predictions(predictions([]), unreadable, tmp_path, None)
