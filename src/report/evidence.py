"""Grades of photos, and what they rest on, in words and in tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from genspot.evaluation.references import Reference
from genspot.report.verdict_words import percent

LIMITS = (
    "The grade says how strong the evidence is that a photo was generated. The false-alarm rate "
    "beside it is how often real photos like it have a logit as high: up to 1% is strong "
    "evidence, up to 5% moderate, up to 10% weak, and more is no evidence. It holds for photos "
    "like the references; of real photos from elsewhere, more can score as high. No grade says "
    "that a photo is real: a detector does not recognise every generator, and resizing or "
    "recompression can remove the traces."
)


def grade_cell(row: Mapping[str, Any]) -> str:
    """Return the grade of a prediction; of a detector without a reference, its verdict."""
    return row["grade"] or f"{row['verdict']} (uncalibrated)"


def rate_cell(row: Mapping[str, Any]) -> str:
    """Return the false-alarm rate of a prediction; "" where there is none."""
    return "" if row["p_value"] is None else percent(row["p_value"])


def why(row: Mapping[str, Any]) -> str:
    """Return what a grade rests on, or why nothing can be said."""
    if row["grade"] is None:
        return "no reference"
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
