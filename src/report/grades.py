"""How well a run finds the fakes of each generator, in words."""

from __future__ import annotations

from genspot.report.runs import Run
from genspot.report.tables import Figures

FOUND, PARTLY, CHANCE, BELOW = GRADES = (
    "found",
    "partly found",
    "not distinguishable from chance",
    "ranked below the real images",
)
# The AP from which on a generator counts as found. Not the lower end of its interval: with 18
# photographs, that of a set without an error is 0.83.
MIN_FOUND = 0.95


def chance(figures: Figures) -> float:
    """Return the AP of a random order, which is the fraction of fakes."""
    return float(figures["fake"] / figures["images"])


def grade(figures: Figures) -> str | None:
    """Return the grade of a generator by its AP and the interval; None without an interval."""
    if not figures["ap_interval"]:
        return None
    low, high = figures["ap_interval"]
    if low <= chance(figures):
        return CHANCE if chance(figures) <= high else BELOW
    return FOUND if figures["ap"] >= MIN_FOUND else PARTLY


def ordered_generators(run: Run) -> list[str]:
    """Return the generators: those of the training set first, from the highest AP down.

    Those without an AP are last, those without an image are left out.
    """
    results = run.metrics["generators"]

    def key(name: str) -> tuple[bool, float]:
        ap = results[name]["ap"]
        return name not in run.training_generators, 1.0 if ap is None else -ap

    return sorted((name for name in results if results[name]["images"]), key=key)
