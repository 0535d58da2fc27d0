"""The average precision of decisions, against scikit-learn and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, chi2
from sklearn.metrics import average_precision_score

from genspot.evaluation.decisions import average_precision_of_rates, lowest_average_precision


@pytest.mark.parametrize(
    ("reals", "fakes", "wrong", "found"),
    [(8, 12, 2, 9), (10, 10, 0, 10), (5, 20, 5, 7), (9, 3, 4, 0)],
)
def test_average_precision_of_rates_is_that_of_scores_with_two_values(
    reals: int, fakes: int, wrong: int, found: int
) -> None:
    labels = [0] * reals + [1] * fakes
    scores = [1] * wrong + [0] * (reals - wrong) + [1] * found + [0] * (fakes - found)
    own = average_precision_of_rates(
        np.array(wrong / reals), np.array(found / fakes), fakes / (reals + fakes)
    )
    assert own == pytest.approx(average_precision_score(labels, scores))


def test_lowest_of_decisions_without_error_is_known() -> None:
    # The likelihood of no error is (1 - rate)^N in each class; false alarms cost most.
    labels = np.repeat([0, 1], 20)
    rate = 1 - math.exp(-chi2.ppf(0.99, 1) / 40)
    found = lowest_average_precision(labels, labels == 1, 0.99, (20, 20))
    assert found == pytest.approx(1 / (1 + rate), abs=0.002)


def test_lowest_is_that_of_a_plain_loop() -> None:
    labels = np.repeat([0, 1], [15, 25])
    called = np.r_[np.arange(15) < 4, np.arange(25) < 19]
    best = binom.logpmf(4, 15, 4 / 15) + binom.logpmf(19, 25, 19 / 25)
    lowest = 1.0
    for real in np.linspace(0.01, 0.99, 99):
        for fake in np.linspace(0.01, 0.99, 99):
            likelihood = binom.logpmf(4, 15, real) + binom.logpmf(19, 25, fake)
            if 2 * (best - likelihood) <= chi2.ppf(0.95, 1):
                precision = fake * 25 / (fake * 25 + real * 15)
                lowest = min(lowest, fake * precision + (1 - fake) * 25 / 40)
    assert lowest_average_precision(labels, called, 0.95, (15, 25)) == pytest.approx(
        lowest, abs=0.01
    )


def test_lowest_rises_with_images_and_falls_with_confidence_and_errors() -> None:
    def lowest(count: int, errors: int, confidence: float) -> float:
        labels = np.repeat([0, 1], count)
        called = (labels == 1) ^ (np.arange(2 * count) < errors)
        return lowest_average_precision(labels, called, confidence, (count, count))

    assert lowest(20, 0, 0.95) < lowest(40, 0, 0.95) < lowest(400, 0, 0.95)
    assert lowest(40, 0, 0.99) < lowest(40, 0, 0.95)
    assert lowest(40, 9, 0.95) < lowest(40, 2, 0.95) < lowest(40, 0, 0.95)


def test_lowest_of_drawn_decisions_is_seldom_above_the_truth() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    truth = float(average_precision_of_rates(np.array(0.2), np.array(0.7), 0.5))
    above = 0
    for _ in range(400):
        called = rng.random(60) < np.where(labels == 1, 0.7, 0.2)
        above += lowest_average_precision(labels, called, 0.95, (30, 30)) > truth
    assert above / 400 < 0.05  # 0.025 are expected
