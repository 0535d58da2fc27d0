"""Conformal p-values: how rare a logit is among those of real reference photos.

Of a photo that is drawn like its n references, the p-value is at or below a with a probability of
at most a, for every a and n and any distribution of logits: its place among the n + 1 photos is
equally likely to be any (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
2005). So an alarm at p ≤ a has a false-alarm rate of at most a.

Photos are compared with their like (Mondrian conformal prediction, same book): each photo has a
cell, labels of its traits from coarse to fine, and cells are joined into groups that are large
enough. The groups depend on the cells of all n + 1 photos alike and on no logit, so that the
promise holds within each group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

Cell = tuple[str, ...]  # labels of a photo's traits, from coarse to fine

MIN_REFERENCES = 99  # the fewest with which a p-value can be 0.01


def p_values(logits: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return (1 + number of references at or above the logit) / (n + 1) for each logit.

    Args:
        logits: N finite logits.
        references: n finite logits of real photos.

    Returns:
        N values in [1 / (n + 1), 1].
    """
    ordered = np.sort(np.asarray(references, dtype=np.float64))
    below = np.searchsorted(ordered, np.asarray(logits, dtype=np.float64), side="left")
    return (1 + len(ordered) - below) / (len(ordered) + 1)


def find_threshold(references: np.ndarray, level: float) -> float | None:
    """Return the least logit whose p-value is at most `level`; None if no logit has one.

    Args:
        references: n finite logits of real photos.
        level: in (0, 1); a p-value of at most that needs n of at least 1 / level - 1.
    """
    ordered = np.sort(np.asarray(references, dtype=np.float64))
    attainable = np.arange(1, len(ordered) + 2) / (len(ordered) + 1)  # with 0, 1, … n at or above
    at_or_above = int(np.searchsorted(attainable, level, side="right")) - 1
    if at_or_above < 0:
        return None
    return float(np.nextafter(ordered[-1 - at_or_above], np.inf))


def find_group(
    cell: Cell, references: Mapping[Cell, int], minimum: int = MIN_REFERENCES
) -> frozenset[Cell]:
    """Return the cells whose references a photo is compared with.

    At each level, labels with enough photos stand alone. The others form one group; while it is
    too small, the smallest of those that would stand alone joins it. The photo itself is counted.

    Args:
        cell: of the photo.
        references: cell → number of references, at least `minimum` in all.
        minimum: the fewest references of a group.

    Raises:
        ValueError: there are fewer references than `minimum`.
    """
    if sum(references.values()) < minimum:
        raise ValueError(f"fewer than {minimum} references")
    counts = Counter(references)
    counts[cell] += 1
    members = set(counts)
    for level, label in enumerate(cell):
        sizes: Counter[str] = Counter()
        for one in members:
            sizes[one[level]] += counts[one]
        joined = _joined_labels(label, sizes, minimum + 1)
        members = {one for one in members if one[level] in joined}
        if len(joined) > 1:
            break
    return frozenset(members)


def _joined_labels(label: str, sizes: Mapping[str, int], minimum: int) -> set[str]:
    """Return the labels that are in one group with `label`; see `find_group`."""
    joined = {name for name, size in sizes.items() if size < minimum}
    alone = sorted((size, name) for name, size in sizes.items() if size >= minimum)
    total = sum(sizes[name] for name in joined)
    while joined and total < minimum and alone:
        size, name = alone.pop(0)
        joined.add(name)
        total += size
    return joined if label in joined else {label}


def describe_group(group: frozenset[Cell], references: Mapping[Cell, int]) -> str:
    """Return which references a group holds, in words: "JPEG, quality 80 to 89".

    A level at which it holds references of all labels, and there are several, is left out.
    """
    words = []
    for level in range(len(next(iter(group)))):
        own = {cell[level] for cell in group if references.get(cell)}
        if len(own) == 1 or own != {cell[level] for cell in references}:
            words.append(" or ".join(sorted(own)))
    return ", ".join(filter(None, words)) or "all reference photos"
