"""What a detector says of photos without labels, and what that is worth."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import torch
from rich.table import Table

from genspot.common.errors import GenspotError
from genspot.detector.report import terminal
from genspot.evaluation.scores import Collected, score_table, unreadable_table, write_csv

WORTH = (
    "The probability is not calibrated: use it to rank images, not as a chance of being right. "
    "A detector sees the traces of generators like the one it was trained on; a low value does "
    "not prove a photo real, and resizing or recompression can hide the traces."
)
UNDECIDED = 1.0  # logits closer to 0 than this are said to be undecided


def verdict(logit: float) -> str:
    """A plain word for a logit."""
    if abs(logit) < UNDECIDED:
        return "undecided"
    return "looks generated" if logit > 0 else "no traces found"


def show_predictions(
    samples: pa.Table, collected: Collected, folder: Path, crop: int | None
) -> None:
    """Print and save (predictions.csv, unreadable.csv) what was found, the most fake first."""
    scores = score_table(samples, collected).sort_by([("logit", "descending")])
    unreadable = unreadable_table(samples, collected)
    logits = scores["logit"].to_pylist()
    probabilities = torch.tensor(logits, dtype=torch.float64).sigmoid().tolist()
    predictions = pa.table(
        {
            "path": scores["path"],
            "logit": logits,
            "probability": probabilities,
            "verdict": [verdict(logit) for logit in logits],
            "calibrated": [False] * len(logits),
            "padded": scores["padded"],
        }
    )
    write_csv(predictions, folder / "predictions.csv")
    write_csv(unreadable.select(["path", "reason"]), folder / "unreadable.csv")
    if not logits:
        first = unreadable["reason"][0].as_py()
        raise GenspotError(f"no image could be read: {first}; see {folder / 'unreadable.csv'}")
    table = Table()
    for name in ("image", "logit", "probability", "verdict (uncalibrated)"):
        table.add_column(name, overflow="fold", justify="left" if name == "image" else "right")
    for one in predictions.to_pylist():
        table.add_row(
            one["path"], f"{one['logit']:.2f}", f"{one['probability']:.4f}", one["verdict"]
        )
    console = terminal()
    console.print(table)
    console.print(WORTH, highlight=False)
    if crop is not None:
        console.print(
            f"Only the middle {crop} × {crop} pixels of each image were looked at; crop=none "
            "looks at all of it.",
            highlight=False,
        )
    if padded := sum(scores["padded"].to_pylist()):
        console.print(
            f"{padded} of them smaller than that and zero-padded: their scores mean little.",
            highlight=False,
        )
    for one in unreadable.to_pylist():
        console.print(f"unreadable, skipped: {one['path']} ({one['reason']})", highlight=False)
    console.print(f"predictions: {folder / 'predictions.csv'}", highlight=False, soft_wrap=True)
