"""Predictions for images without labels, and their limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table

from genspot.common.errors import GenspotError
from genspot.evaluation import calibration
from genspot.report.console import make_console

LIMITS = (
    "The probability is not calibrated: use it to rank images, not as the chance of being right. "
    "A detector recognises the traces of generators like those it was trained on; a low value "
    "does not prove that a photo is real, and resizing or recompression can remove the traces."
)
UNDECIDED = 1.0  # |logit| below which the verdict is "undecided"


def verdict(logit: float) -> str:
    """Return a logit in plain words."""
    if abs(logit) < UNDECIDED:
        return "undecided"
    return "looks generated" if logit > 0 else "no traces found"


def prediction_table(scores: pa.Table) -> pa.Table:
    """Return the predictions of a table of scores, the highest logit first.

    Returns:
        Columns path, logit, probability (sigmoid of the logit, in [0, 1]), verdict, calibrated
        (always false) and padded.
    """
    scores = scores.sort_by([("logit", "descending")])
    logits = scores["logit"].to_numpy().astype(np.float64)
    return pa.table(
        {
            "path": scores["path"],
            "logit": logits,
            "probability": calibration.probabilities(logits),
            "verdict": pa.array(map(verdict, logits), pa.string()),
            "calibrated": pa.repeat(False, len(logits)),
            "padded": scores["padded"],
        }
    )


def print_predictions(
    predictions: pa.Table, unreadable: pa.Table, folder: Path, crop: int | None
) -> None:
    """Print the predictions, their limits, and the images that could not be read.

    Args:
        predictions: see `prediction_table`.
        unreadable: a table with columns path and reason.
        folder: of the run, with predictions.csv and unreadable.csv.
        crop: the side in pixels of the central crop that was scored; None for whole images.

    Raises:
        GenspotError: no image was readable.
    """
    if not len(predictions):
        reason = unreadable["reason"][0].as_py()
        raise GenspotError(f"no image could be read: {reason}; see {folder / 'unreadable.csv'}")
    table = Table()
    for name in ("image", "logit", "probability", "verdict (uncalibrated)"):
        table.add_column(name, overflow="fold", justify="left" if name == "image" else "right")
    for row in predictions.to_pylist():
        table.add_row(
            row["path"], f"{row['logit']:.2f}", f"{row['probability']:.4f}", row["verdict"]
        )
    console = make_console()
    console.print(table)
    lines = [LIMITS]
    if crop is not None:
        lines.append(
            f"Only the central {crop} × {crop} pixels of each image were scored; crop=none scores "
            "whole images."
        )
    if count := sum(predictions["padded"].to_pylist()):
        lines.append(
            f"{count} of the images are smaller than the crop and were padded with zeros: their "
            "scores are unreliable."
        )
    for row in unreadable.to_pylist():
        lines.append(f"unreadable, skipped: {row['path']} ({row['reason']})")
    for line in lines:
        console.print(line, highlight=False)
    console.print(f"predictions: {folder / 'predictions.csv'}", highlight=False, soft_wrap=True)
