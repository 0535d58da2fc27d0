"""How far the logit of a photo moves when the photo is delivered in other ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOSTLY = 0.75  # the least share of kept decisions that is called "mostly stable"


@dataclass(frozen=True)
class Sensitivity:
    """How the logit of one photo moves over its deliveries.

    Attributes:
        low: the least logit of a delivered photo.
        high: the largest.
        kept: deliveries with the decision of the photo itself.
        total: deliveries.
    """

    low: float
    high: float
    kept: int
    total: int

    @property
    def word(self) -> str:
        """ "stable" if each delivery keeps the decision, "mostly stable", or "unstable"."""
        if self.kept == self.total:
            return "stable"
        return "mostly stable" if self.kept >= MOSTLY * self.total else "unstable"


def sensitivity(
    logit: float, delivered: np.ndarray, decide: Callable[[float], str]
) -> Sensitivity:
    """Return how the logit moves.

    Args:
        logit: of the photo itself.
        delivered: logits of the photo as delivered, of shape N.
        decide: the decision on a logit; those on `delivered` are compared with that on `logit`.

    Raises:
        ValueError: there is no delivery, or a logit is not finite.
    """
    if not len(delivered) or not np.isfinite([logit, *delivered]).all():
        raise ValueError("the sensitivity needs finite logits, and one delivery or more")
    decision = decide(logit)
    kept = sum(decide(float(one)) == decision for one in delivered)
    return Sensitivity(float(delivered.min()), float(delivered.max()), kept, len(delivered))
