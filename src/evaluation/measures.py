"""The names of the numbers, apart from their computation: reports do without PyTorch."""

from __future__ import annotations

from typing import Any

MEASURES = (
    "ap",
    "acc",
    "acc_real",
    "acc_fake",
    "auroc",
    "acc_fitted",
    "acc_best",
    "tpr_at_1",
    "tpr_at_5",
    "ece",
    "ece_scaled",
)


def lines(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The generators of the result of `metrics.evaluate` with their figures, the mean last."""
    return [*result["generators"].items(), ("mean", result["mean"])]
