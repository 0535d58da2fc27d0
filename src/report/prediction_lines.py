"""Predictions in the terminal: a table, its limits, and the photos that could not be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from genspot.common.names import NO_PROTOCOL
from genspot.common.run_files import PREDICTIONS, UNREADABLE
from genspot.evaluation.evidence import CANNOT_SAY, GRADES
from genspot.report import evidence
from genspot.report.console import is_terminal, print_line, print_path, print_table
from genspot.report.predictions import VERDICTS, is_graded

UNCALIBRATED = (
    "The probability is not calibrated: use it to rank images, not as the chance of being right."
)
UNPROVEN = (
    "A detector recognises the traces of generators like those it was trained on; a low value "
    "does not prove that a photo is real, and resizing or recompression can remove the traces."
)
LIMITS = f"{UNCALIBRATED} {UNPROVEN}"

# In a terminal: rows of a table of all, and of that of the first.
MAX_ROWS, TOP = 100, 20
MAX_UNREADABLE = 5  # unreadable images that are named

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]  # its heading, and the cell of a row


def print_predictions(
    predictions: pa.Table, unreadable: pa.Table, folder: Path, quiet: bool = False
) -> None:
    """Print the predictions, their limits, and the images that could not be read.

    Args:
        predictions: see `genspot.report.predictions.COLUMNS`.
        unreadable: a table with columns path and reason.
        folder: of the run, with predictions.csv and unreadable.csv.
        quiet: print only where the files are.
    """
    if not quiet:
        _print_table(predictions)
        for line in _notes(predictions):
            print_line(line)
        for row in unreadable.slice(0, MAX_UNREADABLE).to_pylist():
            of = f" by {row['detector']}" if row.get("detector") else ""
            print_line(f"unreadable{of}, skipped: {row['path']} ({row['reason']})")
        if len(unreadable) > MAX_UNREADABLE:
            print_line(f"and {len(unreadable) - MAX_UNREADABLE} more")
    print_path("predictions", folder / PREDICTIONS)
    if len(unreadable):
        print_path("unreadable", folder / UNREADABLE)


def _print_table(predictions: pa.Table) -> None:
    """Print a row per prediction; of many in a terminal, the number of each grade and the first.

    With grades in place of verdicts where there are any.
    """
    summary = is_terminal() and len(predictions) > MAX_ROWS
    if summary:
        _print_counts(predictions)
    columns = _columns(predictions)
    shown = predictions.slice(0, TOP if summary else None).to_pylist()
    cells = [[cell(row) for _, cell in columns] for row in shown]
    print_table([heading for heading, _ in columns], cells)
    if summary and len(detectors(predictions)) > 1:
        print_line(f"These are the first {TOP} of {len(predictions)} rows; {PREDICTIONS} has all.")
    elif summary:
        print_line(
            f"These are the {TOP} images with the highest logits of {len(predictions)}; "
            f"{PREDICTIONS} has all."
        )


def _print_counts(predictions: pa.Table) -> None:
    """Print how many images have each grade, or each verdict where there are no grades."""
    words: tuple[str, ...] = VERDICTS
    key, heading = "verdict", "verdict (uncalibrated)"
    if is_graded(predictions):
        key, words, heading = "grade", (*GRADES, CANNOT_SAY), "grade"
    names = detectors(predictions)
    parts = [rows[key].to_pylist() for _, rows in names.items()]
    print_table(
        (heading, *(["images"] if len(names) == 1 else names)),
        [(word, *(str(part.count(word)) for part in parts)) for word in words],
    )


def _columns(predictions: pa.Table) -> list[Column]:
    """Return the columns of the table in the terminal."""
    columns: list[Column] = [("image", lambda row: str(row["path"]))]
    if len(detectors(predictions)) > 1:
        columns.append(("detector", lambda row: str(row["detector"])))
    if is_graded(predictions):
        columns.append(("grade", evidence.grade_cell))
        if "decision" in predictions.column_names:
            columns.append(("decision", lambda row: str(row["decision"])))
        columns += [("false-alarm rate", evidence.rate_cell), ("compared with", evidence.why)]
    columns.append(("logit", lambda row: f"{row['logit']:.2f}"))
    if not is_graded(predictions) or "prior" in predictions.column_names:
        columns.append(("probability", lambda row: f"{row['probability']:.4f}"))
    if not is_graded(predictions):
        columns.append(("verdict (uncalibrated)", lambda row: str(row["verdict"])))
    if "likelihood_ratio" in predictions.column_names:
        columns.append(("likelihood ratio", _ratio))
    return columns


def _ratio(row: Row) -> str:
    ratio = row["likelihood_ratio"]
    return "" if ratio is None else f"{ratio:.3g}"


def limits(graded: bool, calibrated: bool) -> str:
    """Return the limits of grades; without any those of probabilities, calibrated or not."""
    if graded:
        return evidence.LIMITS
    return UNPROVEN if calibrated else LIMITS


def _notes(predictions: pa.Table) -> list[str]:
    """Return what a reader must know beside the predictions, one line each."""
    calibrated = any(predictions["calibrated"].to_pylist())
    lines = [limits(is_graded(predictions), calibrated)]
    parts = detectors(predictions)
    for name, rows in parts.items():
        lines += [f"{name}: {note}" if len(parts) > 1 else note for note in _notes_of(rows)]
    return lines


def _notes_of(predictions: pa.Table) -> list[str]:
    """Return how the photos were changed and cropped for a detector, one line each."""
    lines = []
    first = predictions.slice(0, 1).to_pylist()[0]
    if first["protocol"] != NO_PROTOCOL:
        lines.append(
            f"protocol={first['protocol']}: every image was changed like this first; "
            "protocol=none scores images as they are."
        )
    if (crop := first["crop"]) is not None:
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


def detectors(predictions: pa.Table) -> dict[str, pa.Table]:
    """Return the rows of each detector by its name, in the order in which they appear."""
    names = dict.fromkeys(predictions["detector"].to_pylist())
    return {name: predictions.filter(pc.equal(predictions["detector"], name)) for name in names}
