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
        ([1.0, 2.0, 5.5, 0.1], Sensitivity(0.1, 5.5, 4, 4, 4), "stable"),
        ([1.0, 2.0, 5.5, -3.0], Sensitivity(-3.0, 5.5, 3, 4, 4), "mostly stable"),
        ([1.0, -2.0, -1.0, -3.0], Sensitivity(-3.0, 1.0, 1, 4, 4), "unstable"),
        ([-1.0], Sensitivity(-1.0, -1.0, 0, 1, 1), "unstable"),
    ],
)
def test_sensitivity_of_deliveries_is_range_kept_decisions_and_word(
    delivered: list[float], expected: Sensitivity, word: str
) -> None:
    decisions = [side(one) for one in delivered]
    found = sensitivity("above", delivered, decisions)
    assert found == expected and found.word == word


def test_sensitivity_counts_the_deliveries_on_which_there_is_a_decision() -> None:
    logits = [1.0, -2.0, 5.0]
    found = sensitivity("strong", logits, ["strong", None, "strong"])
    assert (found.kept, found.total, found.word) == (2, 2, "stable")
    assert (found.low, found.high) == (-2.0, 5.0)
    for own, others in ((None, ["strong"] * 3), ("strong", [None] * 3)):
        found = sensitivity(own, logits, others)
        assert (found.kept, found.total, found.word) == (0, 0, "not known")


@pytest.mark.parametrize(
    ("decided", "word"), [(1, "not known"), (5, "not known"), (6, "stable"), (12, "stable")]
)
def test_sensitivity_with_decisions_on_fewer_than_half_is_not_known(
    decided: int, word: str
) -> None:
    decisions = ["strong"] * decided + [None] * (12 - decided)
    found = sensitivity("strong", [1.0] * 12, decisions)
    assert (found.kept, found.total, found.word) == (decided, decided, word)


@pytest.mark.parametrize("delivered", [[], [1.0, np.inf], [np.nan]])
def test_sensitivity_without_finite_logits_raises(delivered: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        sensitivity("above", delivered, ["above"] * len(delivered))
