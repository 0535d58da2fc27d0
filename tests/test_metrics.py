"""Metrics against scikit-learn and plain loops, ties and one-class sets included."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from genspot.evaluation import calibration
from genspot.evaluation import measures
from genspot.evaluation import metrics
from genspot.evaluation.bootstrap import interval, replicate
from genspot.evaluation.calibration import Fit


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


def test_accuracy_is_at_probability_one_half() -> None:
    result = metrics.measure(np.array([0, 0, 0, 1]), np.array([-1.0, 0.0, 0.1, 2.0]))
    assert (result["acc"], result["acc_real"], result["acc_fake"]) == (0.75, 2 / 3, 1.0)


def table(rows: list[tuple[str, int, float]]) -> pa.Table:
    names, labels, logits = zip(*rows, strict=True)
    halves = ("0_real", "1_fake")
    return pa.table(
        {
            "path": [
                f"/{name}/{halves[label]}/{k}.png" for k, (name, label, _) in enumerate(rows)
            ],
            "generator": pa.array(names).dictionary_encode(),
            "class": pa.array([""] * len(rows)).dictionary_encode(),
            "label": pa.array(labels, pa.int8()),
            "logit": pa.array(logits, pa.float32()),
        }
    )


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


def noisy(seed: int, names: str = "ab", size: int = 60) -> pa.Table:
    draws = np.random.default_rng(seed)
    rows = [(name, k % 2, float(draws.normal() + k % 2)) for name in names for k in range(size)]
    return table(rows)


def test_intervals_are_those_of_the_bootstrap() -> None:
    scores, real_sets = noisy(0), {"a": "s", "b": "s"}
    result = metrics.evaluate(scores, ["b", "a"], 40, 0.9, seed=3, real_sets=real_sets)
    aps = replicate(scores, real_sets, 40, 3)
    for name in "ab":
        assert result["generators"][name]["ap_interval"] == interval(aps[name], 0.9)
    assert result["mean"]["ap_interval"] == interval((aps["a"] + aps["b"]) / 2, 0.9)
    assert list(result["generators"]) == ["b", "a"]


def test_the_order_of_rows_does_not_matter() -> None:
    scores = noisy(1)
    shuffled = scores.take(np.random.default_rng(0).permutation(scores.num_rows))
    fit = Fit(0.3, 1.4, 10)
    one, other = (
        metrics.evaluate(rows, ["a", "b"], 30, 0.95, seed=0, fit=fit)
        for rows in (scores, shuffled)
    )
    for name in "ab":
        expected = pytest.approx(other["generators"][name].pop("ap_interval"), abs=0)
        assert one["generators"][name].pop("ap_interval") == expected
        assert one["generators"][name] == pytest.approx(other["generators"][name], abs=1e-12)


def test_generators_do_not_change_one_another() -> None:
    together = metrics.evaluate(noisy(2), ["a", "b"], 30, 0.95, seed=0)
    alone = metrics.evaluate(noisy(2).slice(0, 60), ["a"], 30, 0.95, seed=0)
    assert together["generators"]["a"] == alone["generators"]["a"]


def test_without_a_fit_nothing_is_fitted() -> None:
    result = metrics.evaluate(noisy(3), ["a", "b"], 10, 0.95, seed=0)
    for one in [*result["generators"].values(), result["mean"]]:
        assert one["acc_fitted"] is None
        assert one["ece_scaled"] is None
        assert 0.5 <= one["acc"] <= one["acc_best"] <= 1
        assert 0 <= one["tpr_at_1"] <= one["tpr_at_5"] <= 1
        assert 0 <= one["ece"] <= 1


def test_a_fit_moves_the_threshold_and_scales_the_probabilities() -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 500)
    logits = (9 * (draws.normal(size=500) + 2 * labels) + 30).astype(np.float32)
    fit = Fit(
        calibration.fit_threshold(labels, logits), calibration.fit_temperature(labels, logits), 500
    )
    result = metrics.measure(labels, logits, fit)
    assert result["acc_fitted"] == np.mean((logits > fit.threshold) == labels)
    assert result["acc_fitted"] > result["acc"] + 0.2
    assert result["acc_fitted"] <= result["acc_best"]
    assert result["ece_scaled"] < result["ece"]
    plain = metrics.measure(labels, logits)
    changed = {key for key in result if result[key] != plain[key]}
    assert changed == {"acc_fitted", "ece_scaled"}


def test_a_fitted_threshold_parts_neighbouring_float32_logits() -> None:
    logits = np.array([1, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    for labels in (np.array([0, 1]), np.array([0, 1])[::-1]):
        fit = Fit(calibration.fit_threshold(np.array([0, 1]), logits), 1.0, 2)
        expected = float(labels[1])
        assert metrics.measure(labels.copy(), logits, fit)["acc_fitted"] == expected


def test_every_measure_is_there_and_none_where_it_has_no_meaning() -> None:
    fit = Fit(0.0, 1.0, 2)
    empty = metrics.measure(np.zeros(0, np.int64), np.zeros(0, np.float32), fit)
    assert {key: empty[key] for key in measures.MEASURES} == dict.fromkeys(measures.MEASURES)
    fakes = metrics.measure(np.ones(2, np.int64), np.array([-1, 2], np.float32), fit)
    known = {key: fakes[key] for key in measures.MEASURES if fakes[key] is not None}
    assert known == {"acc": 0.5, "acc_fake": 0.5, "acc_fitted": 0.5}
    both = metrics.measure(np.array([0, 1]), np.array([-1, 2], np.float32), fit)
    assert all(both[key] is not None for key in measures.MEASURES)


def test_huge_and_equal_logits_are_measured() -> None:
    labels = np.array([0, 1, 0, 1])
    huge = metrics.measure(labels, np.array([-3e38, 3e38, -1e30, 1e30], np.float32))
    assert (huge["ap"], huge["tpr_at_1"], huge["ece"]) == (1, 1, 0)
    equal = metrics.measure(labels, np.full(4, 7, np.float32))
    assert (equal["ap"], equal["auroc"], equal["acc_best"], equal["tpr_at_5"]) == (
        0.5,
        0.5,
        0.5,
        0,
    )


def test_an_empty_table_has_empty_generators() -> None:
    result = metrics.evaluate(noisy(0).slice(0, 0), ["a"], 10, 0.95, seed=0)
    assert result["generators"]["a"]["status"] == "empty"
    assert result["mean"]["generators"] == 0
