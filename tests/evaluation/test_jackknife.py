"""The jackknife against plain loops that compute the weighted average precision again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import average_precision_score

from genspot.evaluation.jackknife import contributions, weighted_sum
from helpers.scores import labels_and_logits

Case = tuple[np.ndarray, np.ndarray]


def balanced_ap(labels: np.ndarray, logits: np.ndarray, like: np.ndarray) -> float:
    """Return the AP of images whose classes weigh as much as those of the labels `like`."""
    totals = [np.mean(like == label) / np.sum(labels == label) for label in (0, 1)]
    weights = np.where(labels == 1, totals[1], totals[0])
    return float(average_precision_score(labels, logits, sample_weight=weights))


@given(labels_and_logits())
@settings(deadline=None, max_examples=25)
def test_contributions_equal_a_plain_loop(case: Case) -> None:
    labels, logits = case
    found = contributions(labels, logits)
    ap = average_precision_score(labels, logits)
    assert found.estimate == pytest.approx(ap)
    bias = 0.0
    for label, contributed in ((0, found.reals), (1, found.fakes)):
        rows = np.flatnonzero(labels == label)
        if len(rows) == 1:
            assert contributed.tolist() == [0]
            continue
        left_out = [
            balanced_ap(np.delete(labels, row), np.delete(logits, row), labels) for row in rows
        ]
        deviations = np.array(left_out) - np.mean(left_out)
        factor = np.sqrt((len(rows) - 1) / len(rows))
        np.testing.assert_allclose(contributed, factor * deviations, atol=1e-9)
        bias += (len(rows) - 1) * (np.mean(left_out) - ap)
    assert found.corrected == pytest.approx(ap - bias, abs=1e-7)


@given(labels_and_logits())
@settings(deadline=None, max_examples=25)
def test_more_images_equal_a_plain_loop(case: Case) -> None:
    labels, logits = case
    found = contributions(labels, logits)
    ap = average_precision_score(labels, logits)
    for label, changes in ((0, found.more_reals), (1, found.more_fakes)):
        expected = [
            balanced_ap(np.append(labels, label), np.append(logits, logits[row]), labels) - ap
            for row in np.flatnonzero(labels != label)
        ]
        np.testing.assert_allclose(changes, expected, atol=1e-9)


def test_weighted_sum_is_that_of_every_entry() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    first, second = (
        contributions(labels, np.array(x)) for x in ([1, 2, 3, 4, 5], [5, 1, 3, 2, 4])
    )
    found = weighted_sum([first, second], [2, -1])
    assert found.estimate == pytest.approx(2 * first.estimate - second.estimate)
    assert found.corrected == pytest.approx(2 * first.corrected - second.corrected)
    for name in ("reals", "fakes", "more_reals", "more_fakes"):
        expected = 2 * getattr(first, name) - getattr(second, name)
        np.testing.assert_allclose(getattr(found, name), expected)
