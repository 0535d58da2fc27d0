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
from helpers.scores import labels_and_logits

Case = tuple[np.ndarray, np.ndarray]


def candidates(logits: np.ndarray) -> list[float]:
    levels = sorted({float(logit) for logit in logits})
    midpoints = [(low + high) / 2 for low, high in pairwise(levels)]
    return [float(np.nextafter(levels[0], -np.inf)), *midpoints, levels[-1]]


@given(labels_and_logits())
@settings(deadline=None, max_examples=60)
def test_threshold_and_oracle_accuracy_equal_exhaustive_search(case: Case) -> None:
    labels, logits = case
    wide = logits.astype(np.float64)
    balanced = {t: balanced_accuracy_score(labels, wide > t) for t in candidates(logits)}
    best = max(balanced.values())
    nearest = min(abs(threshold) for threshold in balanced if balanced[threshold] > best - 1e-9)
    found = calibration.fit_threshold(labels, logits)
    if best > 0.5 + 1e-9:
        assert found is not None and balanced[found] == pytest.approx(best)
        assert abs(found) == pytest.approx(nearest)
    else:
        assert found is None
    plain = max(np.mean((wide > threshold) == labels) for threshold in balanced)
    assert calibration.oracle_accuracy(labels, logits) == pytest.approx(plain)


@given(labels_and_logits(), st.sampled_from([0.0, 0.01, 0.05, 0.29, 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_tpr_at_fpr_equals_scikit_learn(case: Case, fpr: float) -> None:
    labels, logits = case
    false_positives, true_positives, _ = roc_curve(labels, logits, drop_intermediate=False)
    expected = true_positives[false_positives <= fpr].max()
    assert calibration.tpr_at_fpr(labels, logits, fpr) == pytest.approx(expected)


def test_tpr_at_fpr_few_reals_allow_no_false_positive() -> None:
    labels = np.array([0] * 99 + [1, 1])
    logits = np.concatenate([np.zeros(98), [2.0], [1.0, 3.0]])
    assert calibration.tpr_at_fpr(labels, logits, 0.01) == 0.5
    assert calibration.tpr_at_fpr(labels, logits, 1 / 99) == 1


def test_fit_threshold_separates_neighbouring_floats() -> None:
    steps = 1 + np.finfo(float).eps * np.arange(3)
    for low, high in ((0, 1), (0, 2)):
        for logits in (steps[[low, high]], -steps[[high, low]]):
            found = calibration.fit_threshold(np.array([0, 1]), logits)
            assert found is not None and (logits > found).tolist() == [False, True]


@pytest.mark.parametrize("value", [-3.0, 0.0, 3e38])
def test_equal_logits_have_no_threshold(value: float) -> None:
    logits = np.full(4, value, dtype=np.float32)
    assert calibration.fit_threshold(np.array([0, 1, 0, 1]), logits) is None
    assert calibration.oracle_accuracy(np.array([0, 1, 1, 1]), logits) == 0.75
    assert calibration.tpr_at_fpr(np.array([0, 1, 1, 1]), logits, 0.05) == 0


@pytest.mark.parametrize("scale", [0.05, 1.0, 4.0, 30.0])
def test_fit_temperature_equals_scipy_and_the_truth(scale: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=3000) * 2
    labels = (rng.random(3000) < expit(logits)).astype(np.int64)
    margins = np.where(labels == 1, 1, -1) * logits * scale
    found = calibration.fit_temperature(labels, logits * scale)
    reference = minimize(
        lambda log: -np.mean(np.log(expit(margins / np.exp(log[0])))), [np.log(scale)], tol=1e-10
    )
    assert found == pytest.approx(float(np.exp(reference.x[0])), rel=1e-3)
    assert found == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        ([-2, 1, -0.5, 3], "no validation image is on the wrong side of 0.5"),
        ([-40, 20, -10, 60], "no validation image is on the wrong side of 0.5"),
        ([-3e38, 3e38, -1e30, 1e30], "no validation image is on the wrong side of 0.5"),
        ([0, 1e-30, 0, 1e-30], "no validation image is on the wrong side of 0.5"),
        ([2, -1, 0.5, -3], "do not tell the classes apart"),
        ([5, 5, 5, 5], "do not tell the classes apart"),
        ([0, 0, 0, 0], "do not tell the classes apart"),
        ([3e38, -3e38, 1e30, -1e30], "do not tell the classes apart"),
        ([-2e-3, 1e-3, 1e-3, 2e-3], "not between 0.01 and 100"),
        ([-2e3, 1e3, 1e3, 2e3], "not between 0.01 and 100"),
    ],
)
def test_fit_without_a_best_temperature_says_why(logits: list[float], reason: str) -> None:
    values = np.array(logits, np.float32)
    with np.errstate(all="raise", under="ignore"):
        fit = calibration.fit(pa.table({"label": [0, 1, 0, 1], "logit": values}))
    assert fit is not None and fit["temperature"] is None
    assert reason in fit["notes"][-1]


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_fit_temperature_within_a_percent_of_a_bound_has_failed(scale: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=3000) * 2
    labels = (rng.random(3000) < expit(logits)).astype(np.int64)
    unit = calibration.fit_temperature(labels, logits)
    assert unit is not None
    inwards = 1 if scale < 1 else -1
    for factor, fitted in ((1.005, False), (1.02, True)):
        case = logits * scale / unit * factor**inwards
        found = calibration.fit(pa.table({"label": labels, "logit": case}))
        assert found is not None and (found["temperature"] is not None) is fitted
        assert found["notes"] == [] or "not between 0.01 and 100" in found["notes"][0]


def test_fit_two_images_or_useless_logits_give_no_figures() -> None:
    two = calibration.fit(pa.table({"label": [0, 1], "logit": [-1.0, 2.0]}))
    assert two is not None and (two["threshold"], two["temperature"]) == (0.5, None)
    wrong_way_round = calibration.fit(pa.table({"label": [1, 0], "logit": [-1.0, 2.0]}))
    assert wrong_way_round is not None and len(wrong_way_round["notes"]) == 2
    assert (wrong_way_round["threshold"], wrong_way_round["temperature"]) == (None, None)


def test_probabilities_are_float64() -> None:
    logits = np.array([-30.0, 30.0], dtype=np.float32)
    low, high = calibration.probabilities(logits)
    assert 0 < low < 1e-12 and high < 1
    with np.errstate(all="raise", under="ignore"):
        assert calibration.probabilities(1e37 * logits, 0.01).tolist() == [0, 1]
    assert calibration.probabilities(logits, 30).tolist() == pytest.approx(expit([-1, 1]))


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_reliability_equals_scikit_learn(bins: int) -> None:
    rng = np.random.default_rng(0)
    probabilities = np.concatenate([rng.beta(0.3, 0.4, 500), np.linspace(0, 1, 16)])
    labels = (rng.random(516) < probabilities**2).astype(np.int64)
    rows = calibration.reliability(labels, probabilities, bins)
    frequency, confidence = calibration_curve(labels, probabilities, n_bins=bins)
    assert [row["frequency"] for row in rows] == pytest.approx(frequency.tolist())
    assert [row["confidence"] for row in rows] == pytest.approx(confidence.tolist())
    assert sum(row["count"] for row in rows) == 516
    assert all(row["low"] <= row["confidence"] <= row["high"] for row in rows)


def test_expected_calibration_error_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    probabilities, labels = rng.random(400), rng.integers(0, 2, 400)
    expected = 0.0
    for low in range(10):
        members = [k for k in range(400) if low / 10 < probabilities[k] <= (low + 1) / 10]
        expected += abs(sum(probabilities[k] - labels[k] for k in members)) / 400
    found = calibration.expected_calibration_error(labels, probabilities, 10)
    assert found == pytest.approx(expected)


def test_fit_needs_both_classes() -> None:
    labels = np.arange(40) % 2
    logits = (np.random.default_rng(0).normal(size=40) + 2 * labels - 1).astype(np.float32)
    validation = pa.table({"label": pa.array(labels, pa.int8()), "logit": logits})
    assert calibration.fit(validation) == {
        "threshold": calibration.fit_threshold(labels, logits),
        "temperature": calibration.fit_temperature(labels, logits),
        "images": 40,
        "notes": [],
    }
    assert calibration.fit(validation.filter(pa.array(labels == 1))) is None
    assert calibration.fit(validation.slice(0, 0)) is None
