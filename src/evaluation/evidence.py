"""How strong the evidence of generation is, by the false-alarm rate on real photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from genspot.evaluation.conformal import (
    MIN_REFERENCES,
    describe_group,
    find_group,
    find_threshold,
    p_values,
)
from genspot.evaluation.references import Reference, find_cell, megapixels

# Grades by the highest p-value of each, from strong to none. None of them says "real".
GRADES = {
    "strong evidence": 0.01,
    "moderate evidence": 0.05,
    "weak evidence": 0.10,
    "no evidence": 1.0,
}
CANNOT_SAY = "cannot say"
STRONG = GRADES["strong evidence"]

# How far outside the references' traits a photo may be.
SIZE_FACTOR = 2.0  # of their fewest and most megapixels
QUALITY_MARGIN = 5  # points of their lowest and highest JPEG quality
FLAT_MARGIN = 0.05  # of their highest share of flat neighbours
# Of the pixels of a photo, those that have one of four colours. 21 of 1,370 photos have more, some
# of them recompressed or scaled, 20 frames of a game, and 281 of 289 screenshots and drawings
# (docs/verdict.md).
MAX_COLOUR_SHARE = 0.6


class Judgement(NamedTuple):
    """The grade of a photo.

    Attributes:
        grade: one of `GRADES`, or `CANNOT_SAY`.
        p_value: in (0, 1]; None where nothing can be said.
        references: number of reference photos that it was compared with; 0 where nothing can be.
        compared_with: which these are, in words; "" where there are none.
        reason: why nothing can be said; "" where something can.
        threshold: the least logit whose p-value is at most a level; None where nothing can be
            said, or the references are too few for that level.
    """

    grade: str
    p_value: float | None
    references: int
    compared_with: str
    reason: str
    threshold: float | None


def grade(p_value: float) -> str:
    """Return the grade of a p-value in (0, 1]."""
    return next(name for name, highest in GRADES.items() if p_value <= highest)


def judge(
    reference: Reference,
    traits: pa.Table,
    logits: np.ndarray,
    padded: np.ndarray,
    level: float = STRONG,
) -> pa.Table:
    """Return the grades of N photos, the columns of `Judgement`.

    Args:
        reference: of the detector that scored them.
        traits: N rows of `genspot.data.traits.TRAIT_SCHEMA`.
        logits: N finite logits.
        padded: N flags: the photo was smaller than the detector's crop.
        level: false-alarm rate of the thresholds, in (0, 1).
    """
    judgements = _Judge(reference, level)
    rows = zip(traits.to_pylist(), logits, padded, strict=True)
    found = [judgements.of(*row)._asdict() for row in rows]
    schema = pa.schema(
        [
            ("grade", pa.string()),
            ("p_value", pa.float64()),
            ("references", pa.int64()),
            ("compared_with", pa.string()),
            ("reason", pa.string()),
            ("threshold", pa.float64()),
        ]
    )
    return pa.Table.from_pylist(found, schema=schema)


def is_graphic(traits: Mapping[str, Any]) -> bool:
    """Return whether an image has so few colours that it is a screenshot or a drawing."""
    return bool(traits["colour_share"] > MAX_COLOUR_SHARE)


class _Judge:
    """Judges photos one by one; the logits of a group and the ranges of a kind are found once."""

    def __init__(self, reference: Reference, level: float) -> None:
        self.reference, self.level = reference, level
        self.groups: dict[Any, tuple[np.ndarray, str, float | None]] = {}
        self.ranges = {
            kind: _Ranges([row for row in reference.table.to_pylist() if _kind(row) == kind])
            for kind in {cell[0] for cell in reference.cells}
        }

    def of(self, traits: Mapping[str, Any], logit: float, padded: bool) -> Judgement:
        """Return the grade of one photo."""
        reason = next(self._reasons(traits, padded), "")
        if reason:
            return Judgement(CANNOT_SAY, None, 0, "", reason, None)
        logits, words, threshold = self._group(traits)
        p_value = float(p_values(np.array([logit]), logits)[0])
        return Judgement(grade(p_value), p_value, len(logits), words, "", threshold)

    def _group(self, traits: Mapping[str, Any]) -> tuple[np.ndarray, str, float | None]:
        """Return the logits that a photo is compared with, whose they are, and the threshold."""
        cell = find_cell(traits)
        if cell not in self.groups:
            # Never with photos of the other kind: traces of JPEG move logits most.
            alike = {one: n for one, n in self.reference.counts.items() if one[0] == cell[0]}
            group = find_group(cell, alike)
            rows = [one in group for one in self.reference.cells]
            words = describe_group(group, alike)
            logits = self.reference.logits[rows]
            self.groups[cell] = logits, words, find_threshold(logits, self.level)
        return self.groups[cell]

    def _reasons(self, traits: Mapping[str, Any], padded: bool) -> Iterator[str]:
        """Yield why nothing can be said of a photo."""
        if traits["width"] is None:
            yield "its format, size and compression could not be read"
            return
        if padded:
            yield "it is smaller than the crop that the detector sees"
        if is_graphic(traits):
            yield (
                f"{traits['colour_share']:.0%} of its pixels have one of four colours, as in "
                f"screenshots and drawings; in photos, at most {MAX_COLOUR_SHARE:.0%} do"
            )
        kind = _kind(traits)
        ranges = self.ranges.get(kind)
        count = ranges.count if ranges else 0
        if ranges is None or count < MIN_REFERENCES:
            yield (
                f"{count} of the reference photos are like it ({kind}), and {MIN_REFERENCES} are "
                "needed"
            )
        else:
            yield from ranges.reasons(traits)


class _Ranges:
    """The ranges of traits of the references of one kind."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.count = len(rows)
        sizes = [megapixels(row) for row in rows]
        self.sizes = min(sizes), max(sizes)
        qualities = [row["jpeg_quality"] for row in rows if row["jpeg_quality"] is not None]
        self.qualities = (min(qualities), max(qualities)) if qualities else None
        self.flat = max(row["flat_share"] for row in rows)

    def reasons(self, traits: Mapping[str, Any]) -> Iterator[str]:
        """Yield in which traits a photo is outside the ranges."""
        size, (low, high) = megapixels(traits), self.sizes
        if not low / SIZE_FACTOR <= size <= high * SIZE_FACTOR:
            yield f"it has {size:.3g} megapixels, and the reference photos {_range(low, high)}"
        quality = traits["jpeg_quality"]
        if quality is not None and self.qualities:
            low, high = self.qualities
            if not low - QUALITY_MARGIN <= quality <= high + QUALITY_MARGIN:
                yield (
                    f"its JPEG quality is about {quality}, and that of the reference photos "
                    f"{_range(low, high)}"
                )
        if traits["flat_share"] > self.flat + FLAT_MARGIN:
            yield (
                f"{traits['flat_share']:.0%} of the neighbouring pixels have one colour, as in "
                f"screenshots and drawings, and at most {self.flat:.0%} in the reference photos"
            )


def _kind(traits: Mapping[str, Any]) -> str:
    return find_cell(traits)[0]


def _range(low: float, high: float) -> str:
    ends = f"{low:.3g}", f"{high:.3g}"
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
