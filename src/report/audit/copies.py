"""Duplicates in pictures: a few of each kind, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genspot.evaluation.duplicates import copies_of, first_equal
from genspot.evaluation.overlaps import BOTH_LABELS, SAME_SCENE, Overlap
from genspot.report.audit.findings import Audit, AuditedSet
from genspot.report.audit.pictures import Budget
from genspot.report.examples import Views

PAIRS = 2  # that are shown of each overlap
KINDS = ("real", "fake")


class Copy(NamedTuple):
    """One of two images."""

    where: str  # its set and its label
    path: str
    views: Views


class CopyPanel(NamedTuple):
    """An overlap with examples."""

    title: str  # the set
    overlap: Overlap
    pairs: Sequence[tuple[Copy, Copy]]


def copy_panels(audit: Audit, budget: Budget) -> list[CopyPanel]:
    """Return the overlaps of all sets, with `PAIRS` pairs of each."""
    leader = first_equal(audit.pairs, len(audit.labels))
    return [
        CopyPanel(one.title, overlap, _examples(audit, one, overlap, leader, budget))
        for one in audit.sets
        for overlap in one.overlaps
    ]


def _examples(
    audit: Audit, one: AuditedSet, overlap: Overlap, leader: np.ndarray, budget: Budget
) -> list[tuple[Copy, Copy]]:
    """Return the first pairs of an overlap; an image that was shown is not shown again."""
    places = [
        number
        for number, other in enumerate(audit.sets)
        if other.where in (overlap.others or [one.where])
    ]
    found: list[tuple[Copy, Copy]] = []
    seen: set[int] = set()
    for row in overlap.rows.tolist():
        if len(found) == PAIRS:
            break
        other_label = overlap.rule in (BOTH_LABELS, SAME_SCENE)
        copies = np.concatenate(copies_of(row, audit.pairs, leader))
        fits = np.isin(audit.set_of[copies], places)
        same = audit.labels[copies] == audit.labels[row]
        # A leak is one with either label, if the pixels are equal.
        fitting = copies[fits & (same != other_label)].tolist() or copies[fits].tolist()
        if row not in seen and fitting:
            seen |= {row, *fitting}
            found.append((_copy(audit, row, budget), _copy(audit, fitting[0], budget)))
    return found


def _copy(audit: Audit, row: int, budget: Budget) -> Copy:
    path = audit.paths[row].as_py()
    title = audit.sets[audit.set_of[row]].title
    return Copy(f"{title}, {KINDS[audit.labels[row]]}", path, budget.load(path))
