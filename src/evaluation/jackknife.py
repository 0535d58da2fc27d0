"""What each image contributes to an average precision: the jackknife.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11. The average precision is
computed again without each image in turn. How far it moves gives its standard error and its bias
in small samples. The ratio of the classes stays that of the whole set: the other images of the
class weigh a little more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

Kind = TypeVar("Kind", bound="Contributions")


@dataclass(frozen=True, kw_only=True)
class Contributions:
    """An average precision, and what more images would change.

    All entries, also those of subclasses, are linear: those of a difference are the differences
    of the entries.

    Attributes:
        estimate: the average precision.
        corrected: the same without its bias in small samples; may lie outside [0, 1].
        more_reals: changes of the estimate: more real images score like fake ones.
        more_fakes: changes of the estimate: more fake images score like real ones.
    """

    estimate: float
    corrected: float
    more_reals: np.ndarray
    more_fakes: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ImageContributions(Contributions):
    """What R real and F fake images contribute.

    `more_reals` has F changes: one more real image scores like this fake one. `more_fakes` has R
    changes: one more fake image scores like this real one.

    Attributes:
        reals, fakes: R and F contributions. Their sums of squares are the variances of the
            estimate that the choice of the real and of the fake images causes.
    """

    reals: np.ndarray
    fakes: np.ndarray


def weighted_sum(parts: Sequence[Kind], weights: Sequence[float]) -> Kind:
    """Return Σ weight × contributions of the same images or clusters in several tables."""
    kind = type(parts[0])
    sums = {
        field.name: sum(
            weight * getattr(part, field.name) for part, weight in zip(parts, weights, strict=True)
        )
        for field in fields(kind)
    }
    return kind(**sums)


def contributions(labels: np.ndarray, logits: np.ndarray) -> ImageContributions:
    """Return the contributions of N images, in their order within each class.

    Equal logits form one rank.

    Args:
        labels: N of them, both classes present.
        logits: N of them, finite.
    """
    ranks = np.unique(-logits.astype(np.float64), return_inverse=True)[1]
    ranking = _Ranking(ranks[labels == 0], ranks[labels == 1])
    reals, bias_of_reals = leave_out(ranking.value, ranking.change_real(-1)[ranking.real_ranks])
    fakes, bias_of_fakes = leave_out(ranking.value, ranking.change_fake(-1)[ranking.fake_ranks])
    return ImageContributions(
        estimate=ranking.value,
        corrected=ranking.value - bias_of_reals - bias_of_fakes,
        reals=reals,
        fakes=fakes,
        more_reals=ranking.change_real(1)[ranking.fake_ranks] - ranking.value,
        more_fakes=ranking.change_fake(1)[ranking.real_ranks] - ranking.value,
    )


def leave_out(value: float, without: np.ndarray) -> tuple[np.ndarray, float]:
    """Return N contributions to `value`, and its bias.

    Args:
        value: of all N images or clusters.
        without: N values, without each of them.
    """
    others = len(without) - 1
    contributed = (without - without.mean()) * np.sqrt(others / len(without))
    return contributed, others * float(without.mean() - value)


class _Ranking:
    """The number of images at each rank, the highest logit first."""

    def __init__(self, real_ranks: np.ndarray, fake_ranks: np.ndarray) -> None:
        self.real_ranks, self.fake_ranks = real_ranks, fake_ranks
        count = 1 + max(real_ranks.max(), fake_ranks.max())
        self.fakes = np.bincount(fake_ranks, minlength=count)
        self.fakes_above = np.cumsum(self.fakes).astype(np.float64)  # and at the same rank
        self.reals_above = np.cumsum(np.bincount(real_ranks, minlength=count)).astype(np.float64)
        found = self.fakes * precision(self.fakes_above, self.reals_above)
        self.value = float(found.sum() / len(fake_ranks))  # the average precision

    def change_real(self, change: int) -> np.ndarray:
        """Return the value by rank, with one real image more (1) or fewer (-1) at this rank."""
        total = len(self.real_ranks)
        weight = total / max(1, total + change)
        before = self.fakes * precision(self.fakes_above, weight * self.reals_above)
        changed = weight * (self.reals_above + change)
        after = self.fakes * precision(self.fakes_above, changed)
        return _joined(before, after) / len(self.fake_ranks)

    def change_fake(self, change: int) -> np.ndarray:
        """Return the value by rank, with one fake image more (1) or fewer (-1) at this rank."""
        total = len(self.fake_ranks)
        weight = total / max(1, total + change)
        before = self.fakes * precision(weight * self.fakes_above, self.reals_above)
        changed = precision(weight * (self.fakes_above + change), self.reals_above)
        return weight * (_joined(before, self.fakes * changed) + change * changed) / total


def precision(fakes: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Return the fraction of fakes by rank; 0 where there are none.

    Args:
        fakes, reals: weights of the images down to each rank, this one included.
    """
    fakes, reals = np.maximum(fakes, 0), np.maximum(reals, 0)
    return np.divide(fakes, fakes + reals, out=np.zeros_like(fakes), where=fakes > 0)


def _joined(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return for each rank the sum of `before` above it and of `after` from it on."""
    return np.cumsum(before) - before + np.cumsum(after[::-1])[::-1]
