"""How far the logit of a photo moves when the photo is delivered in other ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOSTLY = 0.75  # the least share of kept decisions that is called "mostly stable"
ENOUGH = 0.5  # the least share of deliveries with a decision for a word on them


@dataclass(frozen=True)
class Sensitivity:
    """How the logit of one photo moves over its deliveries.

    Attributes:
        low: the least logit of a delivered photo.
        high: the largest.
        kept: deliveries with the decision of the photo itself.
        total: deliveries on which there is a decision; 0 where there is none on the photo.
        scored: deliveries with a logit, N.
    """

    low: float
    high: float
    kept: int
    total: int
    scored: int

    @property
    def word(self) -> str:
        """ "stable" if each decision is kept, "mostly stable", "unstable", or "not known".

        It is not known where fewer than half of the deliveries have a decision.
        """
        if self.total < ENOUGH * self.scored:
            return "not known"
        if self.kept == self.total:
            return "stable"
        return "mostly stable" if self.kept >= MOSTLY * self.total else "unstable"


def sensitivity(
    decision: str | None, logits: Sequence[float], decisions: Sequence[str | None]
) -> Sensitivity:
    """Return how the logit moves.

    Args:
        decision: on the photo itself; None: there is none.
        logits: of the photo as delivered, N.
        decisions: on the photo as delivered, N; None where there is none.

    Raises:
        ValueError: there is no delivery, or a logit is not finite.
    """
    if not len(logits) or not np.isfinite(logits).all():
        raise ValueError("the sensitivity needs finite logits, and one delivery or more")
    made = [one for one in decisions if one is not None] if decision is not None else []
    kept = sum(one == decision for one in made)
    return Sensitivity(float(min(logits)), float(max(logits)), kept, len(made), len(logits))
