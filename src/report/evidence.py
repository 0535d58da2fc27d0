"""Grades of photos, and what they rest on, in words and in tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from genspot.evaluation.evidence import CANNOT_SAY, GRADES, Judgement
from genspot.evaluation.references import Reference

COLUMNS = Judgement._fields  # that a table of predictions has where there is a reference
HEADING = ("image", "grade", "false-alarm rate", "compared with", "logit")
LIMITS = (
    "The grade says how strong the evidence is that a photo was generated. The false-alarm rate "
    "beside it is how often real photos like it have a logit as high: up to 1% is strong "
    "evidence, up to 5% moderate, up to 10% weak, and more is no evidence. It holds for photos "
    "like the references. No grade says that a photo is real: a detector does not recognise every "
    "generator, and resizing or recompression can remove the traces."
)


def is_graded(predictions: pa.Table) -> bool:
    """Return whether there was a reference."""
    return "grade" in predictions.column_names


def grade_rows(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells below `HEADING` of predictions with grades."""
    return [
        (row["path"], row["grade"], _rate(row["p_value"]), _why(row), f"{row['logit']:.2f}")
        for row in rows
    ]


def grade_counts(predictions: pa.Table) -> list[tuple[str, str]]:
    """Return each grade and the number of photos that have it."""
    found = predictions["grade"].to_pylist()
    return [(name, str(found.count(name))) for name in (*GRADES, CANNOT_SAY)]


def _rate(p_value: float | None) -> str:
    return "" if p_value is None else f"{p_value:.1%}"


def _why(row: dict[str, Any]) -> str:
    if row["reason"]:
        return str(row["reason"])
    return f"{row['references']} real photos: {row['compared_with']}"


def reference_rows(reference: Reference) -> list[tuple[str, str, str]]:
    """Return the cells of each kind of reference photos: traits, number, the median logit."""
    cells = np.array([", ".join(filter(None, cell)) for cell in reference.cells])
    return [
        (
            name,
            str(int((cells == name).sum())),
            f"{np.median(reference.logits[cells == name]):.2f}",
        )
        for name in sorted(set(cells.tolist()))
    ]
