"""Metrics against scikit-learn and plain loops, ties and one-class sets included."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from detector import metrics


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(2, 200))
    draws = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.01, 1.0, 20.0, 100.0]))
    logits = (draws.normal(size=size) * scale).astype(np.float32)
    if draw(st.booleans()):
        logits = np.round(logits).astype(np.float32)  # ties
    labels = draws.integers(0, 2, size)
    labels[:2] = 0, 1
    return labels.astype(np.int64), logits


@given(scored())
@settings(deadline=None, max_examples=100)
def test_ap_and_auroc_equal_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = case
    result = metrics.measure(labels, logits)
    assert result["ap"] == pytest.approx(average_precision_score(labels, logits), abs=1e-6)
    assert result["auroc"] == pytest.approx(roc_auc_score(labels, logits), abs=1e-6)


def test_ap_of_ninety_thousand_scores_equals_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 90_000)
    logits = (draws.normal(size=90_000) + labels).astype(np.float32)
    expected = average_precision_score(labels, logits)
    assert metrics.average_precision(labels, logits) == pytest.approx(expected, abs=1e-6)


def test_logits_beyond_a_sigmoid_of_float32_keep_their_order() -> None:
    labels = np.array([0, 1, 0, 1])
    logits = np.array([20, 21, 40, 41], dtype=np.float32)
    assert metrics.average_precision(labels, logits) == pytest.approx(
        average_precision_score(labels, logits), abs=1e-6
    )


def test_probabilities_lie_between_zero_and_one_in_the_order_of_logits() -> None:
    logits = np.array([-50, 3, 3, 90], dtype=np.float32)
    assert metrics.as_probabilities(logits).tolist() == [0, 0.5, 0.5, 1]
    assert metrics.as_probabilities(logits[:1]).tolist() == [0]
    assert metrics.as_probabilities(logits[:0]).tolist() == []


def test_bootstrap_equals_a_plain_loop_over_resamples() -> None:
    draws = np.random.default_rng(3)
    labels = np.array([0] * 30 + [1] * 20)
    logits = np.round(draws.normal(size=50) + labels, 1).astype(np.float32)
    fast = metrics.bootstrap_ap(labels, logits, 50, np.random.default_rng(7))
    order = np.argsort(-logits, kind="stable")
    labels, logits = labels[order], logits[order]
    reals, fakes = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    same_draws = np.random.default_rng(7)
    slow = []
    for _ in range(50):
        chosen = [fakes[same_draws.integers(20, size=20)], reals[same_draws.integers(30, size=30)]]
        rows = np.concatenate(chosen)
        slow.append(average_precision_score(labels[rows], logits[rows]))
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_interval_covers_the_true_ap_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    truth_labels = np.repeat([0, 1], 50_000)
    truth = average_precision_score(truth_labels, draws.normal(size=100_000) + truth_labels)
    labels, hits = np.repeat([0, 1], 100), 0
    for _ in range(100):
        logits = draws.normal(size=200) + labels
        low, high = metrics.interval(metrics.bootstrap_ap(labels, logits, 200, draws), 0.95)
        hits += low <= truth <= high
    assert 85 <= hits <= 100


def test_accuracy_is_at_probability_one_half() -> None:
    result = metrics.measure(np.array([0, 0, 0, 1]), np.array([-1.0, 0.0, 0.1, 2.0]))
    assert (result["acc"], result["acc_real"], result["acc_fake"]) == (0.75, 2 / 3, 1.0)


def table(rows: list[tuple[str, int, float]]) -> pa.Table:
    names, labels, logits = zip(*rows, strict=True)
    return pa.table({"generator": list(names), "label": list(labels), "logit": list(logits)})


def test_one_class_and_empty_generators_are_reported_and_left_out_of_the_mean() -> None:
    scores = table([("a", 0, -1.0), ("a", 1, 1.0), ("b", 1, 0.5), ("b", 1, 2.0)])
    result = metrics.evaluate(scores, ["a", "b", "c"], 10, 0.95, seed=0)
    status = {name: one["status"] for name, one in result["generators"].items()}
    assert status == {"a": "ok", "b": "one class only", "c": "empty"}
    assert result["generators"]["b"]["ap"] is None
    assert result["generators"]["b"]["acc_fake"] == 1.0
    assert result["mean"]["generators"] == 1
    assert result["mean"]["ap"] == 1.0


def test_no_generator_has_a_mean_without_figures() -> None:
    result = metrics.evaluate(table([("b", 1, 0.5)]), ["b"], 10, 0.95, seed=0)
    assert result["mean"]["ap"] is None
    assert result["mean"]["ap_interval"] is None


def test_mean_counts_each_generator_once() -> None:
    draws = np.random.default_rng(0)
    rows = [("a", k % 2, float(draws.normal())) for k in range(100)]
    rows += [("b", k % 2, float(k % 2)) for k in range(10)]
    result = metrics.evaluate(table(rows), ["a", "b"], 50, 0.95, seed=0)
    both = [one["ap"] for one in result["generators"].values()]
    assert result["mean"]["ap"] == pytest.approx(sum(both) / 2)
    low, high = result["mean"]["ap_interval"]
    assert low <= result["mean"]["ap"] <= high
