"""The shortcut baseline on features that do and do not separate the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from genspot.evaluation.baselines import (
    add_shortcut_baseline,
    shortcut_baseline_rows,
    shortcut_baseline_scores,
)
from genspot.evaluation.results import result_rows
from helpers.scores import make_scores


def test_rows_are_drawn_once_each_and_limited() -> None:
    assert sorted(shortcut_baseline_rows(9, seed=0)) == list(range(9))
    expected = np.random.default_rng(0).permutation(10**6)[:2000]
    np.testing.assert_array_equal(shortcut_baseline_rows(10**6, seed=0), expected)


@pytest.mark.parametrize(("shift", "expected"), [(9.0, 1.0), (0.0, 0.5)])
def test_scores_separate_what_the_features_separate(shift: float, expected: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    train, test = (rng.normal(size=(300, 6)) + shift * labels[:, None] for _ in range(2))
    scores = shortcut_baseline_scores(train, labels, test, seed=0)
    assert scores is not None and scores.min() >= 0 and scores.max() <= 1
    assert average_precision_score(labels, scores) == pytest.approx(expected, abs=0.12)
    again = shortcut_baseline_scores(train, labels, test, seed=0)
    assert again is not None and scores.tolist() == again.tolist()
    assert shortcut_baseline_scores(train, 0 * labels, test, seed=0) is None


def test_ap_is_that_of_the_generator_with_both_classes() -> None:
    rows = [("a", 0), ("b", 0), ("a", 1), ("a", 0), ("a", 1), ("c", 1)]
    samples = make_scores([(name, "", f"{k}", label, 0.0) for k, (name, label) in enumerate(rows)])
    scores = np.array([0.1, 0.9, 0.3, 0.4, 0.8, 0.5])
    generators = {"a": {"status": "ok"}, "b": {"status": "fakes only"}}
    metrics: dict[str, Any] = {"generators": generators, "mean": {}}
    add_shortcut_baseline(metrics, samples, scores)
    found = [figures["shortcut_baseline_ap"] for _, figures in result_rows(metrics)]
    expected = average_precision_score([0, 1, 0, 1], scores[[0, 2, 3, 4]])
    assert found == [pytest.approx(expected), None, pytest.approx(expected)]
    add_shortcut_baseline(metrics, samples, None)
    assert {figures["shortcut_baseline_ap"] for _, figures in result_rows(metrics)} == {None}
