"""Thresholds and calibration against scikit-learn, SciPy and plain loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, roc_curve

from genspot.evaluation import calibration


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(2, 60))
    draws = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = (draws.random(size) < draw(st.sampled_from([0.1, 0.5, 0.8]))).astype(np.int64)
    labels[:2] = 0, 1
    logits = draws.normal(size=size) * draw(st.sampled_from([0.5, 3.0, 50.0])) + labels
    if draw(st.booleans()):
        logits = np.round(logits)  # ties
    return labels, (logits + draw(st.sampled_from([-5, 0, 5]))).astype(np.float32)


def candidates(logits: np.ndarray) -> list[float]:
    levels = sorted({float(one) for one in logits})
    middles = [(low + high) / 2 for low, high in pairwise(levels)]
    return [float(np.nextafter(levels[0], -np.inf)), *middles, levels[-1]]


@given(scored())
@settings(deadline=None, max_examples=60)
def test_threshold_is_the_best_of_all_in_a_plain_loop(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = case
    tried = [
        (balanced_accuracy_score(labels, logits.astype(np.float64) > one), one)
        for one in candidates(logits)
    ]
    best = max(accuracy for accuracy, _ in tried)
    nearest = min(abs(one) for accuracy, one in tried if accuracy > best - 1e-9)
    found = calibration.fit_threshold(labels, logits)
    assert found in candidates(logits)
    assert abs(found) == pytest.approx(nearest)
    accuracy = balanced_accuracy_score(labels, logits.astype(np.float64) > found)
    assert accuracy == pytest.approx(best)


@given(scored())
@settings(deadline=None, max_examples=60)
def test_best_accuracy_is_that_of_a_plain_loop(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = case
    wide = logits.astype(np.float64)
    expected = max(np.mean((wide > one) == (labels == 1)) for one in candidates(logits))
    assert calibration.best_accuracy(labels, logits) == pytest.approx(expected)


@given(scored(), st.sampled_from([0.0, 0.01, 0.05, 0.29, 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_tpr_equals_scikit_learn(case: tuple[np.ndarray, np.ndarray], fpr: float) -> None:
    labels, logits = case
    false_positives, true_positives, _ = roc_curve(labels, logits, drop_intermediate=False)
    expected = true_positives[false_positives <= fpr].max()
    assert calibration.tpr_at_fpr(labels, logits, fpr) == pytest.approx(expected)


def test_threshold_lies_midway_and_nearest_zero_among_equals() -> None:
    labels = np.array([0, 1, 0, 1])
    # Parting -5 | -3 is as good as parting 1 | 2, which is nearer 0.
    assert calibration.fit_threshold(labels, np.array([-5.0, -3.0, 1.0, 2.0])) == 1.5
    assert calibration.fit_threshold(np.array([0, 1]), np.array([10.0, 20.0])) == 15


def test_threshold_weighs_the_classes_alike() -> None:
    labels = np.array([0] * 98 + [1] * 2)
    logits = np.concatenate([np.linspace(-2, 1, 98), [0.5, 3.0]])
    found = calibration.fit_threshold(labels, logits)
    assert found < 0.5  # plain accuracy would give up a fake for 17 reals
    assert calibration.best_accuracy(labels, logits) == 0.99


def test_thresholds_of_logits_without_room_between_them_part_them() -> None:
    low = 1.0
    for high in (np.nextafter(low, 2), np.nextafter(np.nextafter(low, 2), 2)):
        for logits in (np.array([low, high]), -np.array([high, low])):
            found = calibration.fit_threshold(np.array([0, 1]), logits)
            assert (logits > found).tolist() == [False, True]


def test_equal_logits_have_a_finite_threshold() -> None:
    for value in (-3.0, 0.0, 3.0, 3e38):
        logits = np.full(4, value, dtype=np.float32)
        assert np.isfinite(calibration.fit_threshold(np.array([0, 1, 0, 1]), logits))
        assert calibration.best_accuracy(np.array([0, 1, 1, 1]), logits) == 0.75
        assert calibration.tpr_at_fpr(np.array([0, 1, 1, 1]), logits, 0.05) == 0


def test_of_few_reals_none_may_be_called_fake() -> None:
    labels = np.array([0] * 99 + [1, 1])
    logits = np.concatenate([np.zeros(98), [2.0], [1.0, 3.0]])
    assert calibration.tpr_at_fpr(labels, logits, 0.01) == 0.5
    assert calibration.tpr_at_fpr(labels, logits, 1 / 99) == 1


def likelihood(labels: np.ndarray, logits: np.ndarray, temperature: float) -> float:
    fake = expit(logits.astype(np.float64) / temperature)
    real = expit(-logits.astype(np.float64) / temperature)
    return float(-np.mean(np.log(np.where(labels == 1, fake, real))))


@pytest.mark.parametrize("scale", [0.05, 1.0, 4.0, 30.0])
def test_temperature_equals_another_search(scale: float) -> None:
    draws = np.random.default_rng(1)
    logits = draws.normal(size=3000) * 2
    labels = (draws.random(3000) < expit(logits)).astype(np.int64)
    found = calibration.fit_temperature(labels, logits * scale)
    start = np.array([np.log(scale)])
    other = minimize(
        lambda log: likelihood(labels, logits * scale, float(np.exp(log[0]))), start, tol=1e-10
    )
    assert found == pytest.approx(float(np.exp(other.x[0])), rel=1e-3)
    assert found == pytest.approx(scale, rel=0.1)  # the true one


def test_temperature_is_no_worse_than_any_of_a_grid() -> None:
    draws = np.random.default_rng(2)
    labels = draws.integers(0, 2, 300)
    for shift in (-4, 0, 4):
        logits = (draws.normal(size=300) * 6 + shift + labels).astype(np.float32)
        found = likelihood(labels, logits, calibration.fit_temperature(labels, logits))
        assert all(
            found <= likelihood(labels, logits, one) + 1e-9 for one in np.geomspace(0.5, 100, 200)
        )


def test_separable_and_useless_logits_hit_the_bounds() -> None:
    labels = np.array([0, 1, 0, 1])
    apart = np.array([-2.0, 1.0, -0.5, 3.0], dtype=np.float32)
    assert calibration.fit_temperature(labels, apart) == pytest.approx(0.01)
    assert calibration.fit_temperature(labels, 20 * apart) == pytest.approx(0.01)
    assert calibration.fit_temperature(labels, -apart) == pytest.approx(100)
    assert calibration.fit_temperature(labels, np.full(4, 5.0)) == pytest.approx(100)


def test_temperature_of_huge_logits_is_finite() -> None:
    labels = np.array([0, 1, 0, 1])
    huge = np.array([-3e38, 3e38, -1e30, 1e30], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert calibration.fit_temperature(labels, huge) == 1  # every T is as good
        assert calibration.fit_temperature(labels, -huge) == pytest.approx(100)
        assert calibration.fit_temperature(labels, np.zeros(4)) == 1
        assert calibration.probabilities(huge, 0.01).tolist() == [0, 1, 0, 1]


def test_probabilities_are_of_float64() -> None:
    logits = np.array([-30.0, 30.0], dtype=np.float32)
    assert calibration.probabilities(logits).dtype == np.float64
    assert 0 < calibration.probabilities(logits)[0] < 1e-12
    assert calibration.probabilities(logits)[1] < 1
    assert calibration.probabilities(logits, 30).tolist() == pytest.approx(expit([-1, 1]))


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_reliability_equals_scikit_learn(bins: int) -> None:
    draws = np.random.default_rng(0)
    probabilities = np.concatenate([draws.beta(0.3, 0.4, 500), np.linspace(0, 1, 16)])
    labels = (draws.random(516) < probabilities**2).astype(np.int64)
    found = calibration.reliability(labels, probabilities, bins)
    frequency, confidence = calibration_curve(labels, probabilities, n_bins=bins)
    assert [one["frequency"] for one in found] == pytest.approx(frequency.tolist())
    assert [one["confidence"] for one in found] == pytest.approx(confidence.tolist())
    assert sum(one["count"] for one in found) == 516
    assert all(one["low"] <= one["confidence"] <= one["high"] for one in found)


def test_calibration_error_equals_a_plain_loop() -> None:
    draws = np.random.default_rng(4)
    probabilities = draws.random(400)
    labels = draws.integers(0, 2, 400)
    expected = 0.0
    for low in range(10):
        mine = [k for k in range(400) if low / 10 < probabilities[k] <= (low + 1) / 10]
        expected += abs(sum(probabilities[k] - labels[k] for k in mine)) / 400
    found = calibration.expected_calibration_error(labels, probabilities, 10)
    assert found == pytest.approx(expected)


def test_calibration_error_of_honest_and_of_wrong_probabilities() -> None:
    labels = np.array([0, 1, 0, 1])
    assert calibration.expected_calibration_error(labels, labels.astype(float)) == 0
    assert calibration.expected_calibration_error(labels, 1.0 - labels) == 1
    assert calibration.expected_calibration_error(labels, np.full(4, 0.5)) == 0
    assert calibration.reliability(labels, np.full(4, 0.5), 1) == [
        {"low": 0, "high": 1, "count": 4, "confidence": 0.5, "frequency": 0.5}
    ]
    assert calibration.expected_calibration_error(labels[:1], np.array([0.25])) == 0.25


def test_a_fit_needs_both_classes() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(40) % 2
    logits = (draws.normal(size=40) + 3 * labels).astype(np.float32)
    validation = pa.table({"label": pa.array(labels, pa.int8()), "logit": logits})
    found = calibration.fit(validation)
    assert found == calibration.Fit(
        calibration.fit_threshold(labels, logits), calibration.fit_temperature(labels, logits), 40
    )
    assert calibration.fit(validation.filter(pa.array(labels == 1))) is None
    assert calibration.fit(validation.slice(0, 0)) is None
    assert calibration.fit(validation.slice(0, 1)) is None
