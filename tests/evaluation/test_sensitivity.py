"""The sensitivity of a photo to its deliveries."""

from __future__ import annotations

import numpy as np
import pytest

from genspot.evaluation.sensitivity import Sensitivity, sensitivity


def side(logit: float) -> str:
    return "above" if logit > 0 else "below"


@pytest.mark.parametrize(
    ("delivered", "expected", "word"),
    [
        ([1.0, 2.0, 5.5, 0.1], Sensitivity(0.1, 5.5, 4, 4), "stable"),
        ([1.0, 2.0, 5.5, -3.0], Sensitivity(-3.0, 5.5, 3, 4), "mostly stable"),
        ([1.0, -2.0, -1.0, -3.0], Sensitivity(-3.0, 1.0, 1, 4), "unstable"),
        ([-1.0], Sensitivity(-1.0, -1.0, 0, 1), "unstable"),
    ],
)
def test_sensitivity_of_deliveries_is_range_kept_decisions_and_word(
    delivered: list[float], expected: Sensitivity, word: str
) -> None:
    found = sensitivity(3.0, np.array(delivered), side)
    assert found == expected and found.word == word


def test_sensitivity_when_logits_are_shifted_moves_with_them() -> None:
    logits = np.random.default_rng(0).normal(0, 2, 12)
    first = sensitivity(0.5, logits, lambda _: "same")
    second = sensitivity(7.5, logits + 7, lambda _: "same")
    assert (second.low - 7, second.high - 7) == pytest.approx((first.low, first.high))
    assert first.word == second.word == "stable"


@pytest.mark.parametrize(("logit", "delivered"), [(1.0, []), (np.nan, [1.0]), (1.0, [np.inf])])
def test_sensitivity_without_finite_logits_raises(logit: float, delivered: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        sensitivity(logit, np.array(delivered), side)
