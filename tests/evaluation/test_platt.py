"""Platt's scaling against scikit-learn, a plain optimiser and Bayes' rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier

from genspot.evaluation.platt import Platt, fit_platt, prior_of_targets, smoothed_targets


def drawn(seed: int = 0, real: int = 300, fake: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [real, fake])
    return labels, rng.normal(np.where(labels == 1, 1.0, -1.5), 1.7).astype(np.float32)


class Scores(DummyClassifier):
    """A classifier whose decision is its only feature."""

    def decision_function(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0]


def test_fit_platt_equals_scikit_learn() -> None:
    labels, logits = drawn()
    found = fit_platt(labels, logits)
    assert isinstance(found, Platt)
    features = logits.astype(np.float64)[:, None]
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator(Scores().fit(features, labels))
    expected = CalibratedClassifierCV(frozen, method="sigmoid").fit(features, labels)
    values = np.linspace(-6, 6, 25)
    probabilities = expit(found.slope * values + found.offset)
    assert probabilities == pytest.approx(expected.predict_proba(values[:, None])[:, 1], abs=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 0.02, 1.0, 400.0, 1e30])
@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_fit_platt_minimises_the_loss_of_the_targets_of_1999(scale: float, shift: float) -> None:
    labels, logits = drawn(1, 40, 60)
    plain = logits.astype(np.float64) + shift
    targets = np.where(labels == 1, 61 / 62, 1 / 42)

    def loss(point: np.ndarray) -> float:
        fakes = expit(point[0] * plain + point[1])
        return float(-(targets * np.log(fakes) + (1 - targets) * np.log(1 - fakes)).sum())

    expected = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9}).x
    found = fit_platt(labels, plain * scale)
    assert isinstance(found, Platt) and (found.real, found.fake) == (40, 60)
    assert found.slope * scale == pytest.approx(expected[0], rel=1e-5)
    assert found.offset == pytest.approx(expected[1], abs=1e-5)


def test_fit_platt_separated_classes_stay_finite_at_the_targets() -> None:
    found = fit_platt(np.array([0, 0, 1, 1]), np.array([-8.0, -8.0, 30.0, 30.0]))
    assert isinstance(found, Platt)
    probabilities = expit(found.slope * np.array([-8, 30]) + found.offset)
    assert probabilities == pytest.approx([1 / 4, 3 / 4])
    assert smoothed_targets(2, 2) == pytest.approx((1 / 4, 3 / 4))


@pytest.mark.parametrize(
    ("labels", "logits", "reason"),
    [
        ([], [], "no images of one of the classes"),
        ([1, 1], [0.0, 1.0], "no images of one of the classes"),
        ([0, 1, 1], [3e38, 3e38, 3e38], "all logits are equal"),
        ([0, 1], [1.0, -1.0], "do not tell the classes apart"),
        ([0, 1, 0, 1], [0.0, 0.0, 1.0, 1.0], "do not tell the classes apart"),
        ([0, 1, 0, 1], [3e38, -3e38, 1.0, -1.0], "do not tell the classes apart"),
    ],
)
def test_fit_platt_without_a_fit_says_why(
    labels: list[int], logits: list[float], reason: str
) -> None:
    with np.errstate(all="raise", under="ignore"):
        found = fit_platt(np.array(labels, np.int64), np.array(logits, np.float32))
    assert isinstance(found, str) and reason in found


def test_likelihood_ratio_is_that_of_the_densities_whatever_the_share_of_fakes() -> None:
    # Normal densities of equal width at 1 and -1: the log likelihood ratio of x is 2 x.
    rng = np.random.default_rng(5)
    for real, fake in ((20_000, 20_000), (38_000, 2_000)):
        labels = np.repeat([0, 1], [real, fake])
        found = fit_platt(labels, rng.normal(2.0 * labels - 1))
        assert isinstance(found, Platt)
        values = np.array([-1.0, 0.0, 1.0])
        assert found.log_likelihood_ratios(values) == pytest.approx(2 * values, abs=0.15)


def test_log_odds_follow_bayes_rule() -> None:
    labels, logits = drawn(2)
    found = fit_platt(labels, logits)
    assert isinstance(found, Platt)
    ratios = np.exp(found.log_likelihood_ratios(logits))
    for prior in (0.001, 0.5, 0.9):
        expected = prior * ratios / (prior * ratios + 1 - prior)
        assert expit(found.log_odds(logits, prior)) == pytest.approx(expected)
    own = found.log_odds(logits, prior_of_targets(300, 80))
    assert own == pytest.approx(found.slope * logits + found.offset, abs=1e-5)


def test_prior_of_targets_is_the_mean_probability_of_the_fit() -> None:
    labels, logits = drawn(3)
    found = fit_platt(labels, logits)
    assert isinstance(found, Platt)
    mean = expit(found.slope * logits.astype(np.float64) + found.offset).mean()
    assert mean == pytest.approx(prior_of_targets(300, 80), abs=1e-8)
    assert logit(prior_of_targets(50, 50)) == pytest.approx(0, abs=1e-12)
