"""Predictions for images without labels, and their limits."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.names import NO_PROTOCOL
from genspot.common.run_files import PREDICTIONS, UNREADABLE
from genspot.evaluation import calibration
from genspot.report import evidence
from genspot.report.console import is_terminal, print_line, print_path, print_table

LIMITS = (
    "The probability is not calibrated: use it to rank images, not as the chance of being right. "
    "A detector recognises the traces of generators like those it was trained on; a low value "
    "does not prove that a photo is real, and resizing or recompression can remove the traces."
)
UNDECIDED = 1.0  # |logit| below which the verdict is "undecided"
VERDICTS = ("looks generated", "undecided", "no traces found")

# In a terminal: images in a table of all, and in that of the highest logits.
MAX_ROWS, TOP = 100, 20
MAX_UNREADABLE = 5  # unreadable images that are named


def verdict(logit: float) -> str:
    """Return a logit in plain words.

    Raises:
        ValueError: the logit is not finite.
    """
    if not math.isfinite(logit):
        raise ValueError(f"no verdict is made of the logit {logit}")
    if abs(logit) < UNDECIDED:
        return VERDICTS[1]
    return VERDICTS[0] if logit > 0 else VERDICTS[2]


def verdict_counts(logits: np.ndarray) -> list[int]:
    """Return how many of the logits have each of `VERDICTS`."""
    generated, real = logits >= UNDECIDED, logits <= -UNDECIDED
    return [int(kind.sum()) for kind in (generated, ~(generated | real), real)]


def prediction_table(scores: pa.Table) -> pa.Table:
    """Return the predictions of a table of scores, the highest logit first.

    Returns:
        Columns path, logit, probability (sigmoid of the logit, in [0, 1]), verdict, calibrated
        (always false) and padded; where `scores` has them, those of `evidence.COLUMNS` too.
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
        | {name: scores[name] for name in evidence.COLUMNS if evidence.is_graded(scores)}
    )


def print_predictions(
    predictions: pa.Table,
    unreadable: pa.Table,
    folder: Path,
    crop: int | None,
    quiet: bool = False,
    protocol: str = NO_PROTOCOL,
) -> None:
    """Print the predictions, their limits, and the images that could not be read.

    Args:
        predictions: see `prediction_table`.
        unreadable: a table with columns path and reason.
        folder: of the run, with predictions.csv and unreadable.csv.
        crop: the side in pixels of the central crop that was scored; None for whole images.
        quiet: print only where the files are.
        protocol: what was done to every image after it was decoded; "none": nothing.
    """
    if not quiet:
        _print_table(predictions)
        for line in _notes(predictions, crop, protocol):
            print_line(line)
        for row in unreadable.slice(0, MAX_UNREADABLE).to_pylist():
            print_line(f"unreadable, skipped: {row['path']} ({row['reason']})")
        if len(unreadable) > MAX_UNREADABLE:
            print_line(f"and {len(unreadable) - MAX_UNREADABLE} more")
    print_path("predictions", folder / PREDICTIONS)
    if len(unreadable):
        print_path("unreadable", folder / UNREADABLE)


def _print_table(predictions: pa.Table) -> None:
    """Print a row per image; of many in a terminal, the numbers of each verdict and the first.

    With grades in place of verdicts where there are any.
    """
    summary = is_terminal() and len(predictions) > MAX_ROWS
    graded = evidence.is_graded(predictions)
    if summary and graded:
        print_table(("grade", "images"), evidence.grade_counts(predictions))
    elif summary:
        counts = Counter(predictions["verdict"].to_pylist())
        print_table(
            ("verdict (uncalibrated)", "images"),
            [(name, str(counts[name])) for name in VERDICTS],
        )
    shown = predictions.slice(0, TOP if summary else None).to_pylist()
    if graded:
        print_table(evidence.HEADING, evidence.grade_rows(shown))
    else:
        print_table(
            ("image", "logit", "probability", "verdict (uncalibrated)"),
            [
                (row["path"], f"{row['logit']:.2f}", f"{row['probability']:.4f}", row["verdict"])
                for row in shown
            ],
        )
    if summary:
        print_line(
            f"These are the {TOP} images with the highest logits of {len(predictions)}; "
            f"{PREDICTIONS} has all."
        )


def _notes(predictions: pa.Table, crop: int | None, protocol: str) -> list[str]:
    """Return what a reader must know beside the predictions, one line each."""
    lines = [evidence.LIMITS if evidence.is_graded(predictions) else LIMITS]
    if protocol != NO_PROTOCOL:
        lines.append(
            f"protocol={protocol}: every image was changed like this first; protocol=none "
            "scores images as they are."
        )
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
    return lines
