"""The accuracy's contributions against plain loops, and how often its intervals are right."""

from __future__ import annotations

import numpy as np
import pytest

from genspot.evaluation.accuracy import accuracy_cluster_contributions, accuracy_contributions
from genspot.evaluation.clusters import ADDED
from genspot.evaluation.intervals import accuracy_over_seeds
from helpers.scores import make_scores


def draw(seed: int, reals: int = 7, fakes: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, logits and the numbers of clusters, of which not all have both classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation([0] * reals + [1] * fakes)
    return labels, rng.normal(labels - 0.4), rng.permutation(np.arange(len(labels)) % 5)


def accuracy(labels: np.ndarray, logits: np.ndarray, share: float, weights: np.ndarray) -> float:
    """Return the accuracy with classes in the ratio of `share` (of reals), image by image."""
    total = 0.0
    for label, of_class in ((0, share), (1, 1 - share)):
        rows = [k for k in range(len(labels)) if labels[k] == label]
        right = sum(weights[k] for k in rows if (logits[k] > 0) == label)
        total += of_class * right / sum(weights[k] for k in rows)
    return total


@pytest.mark.parametrize("seed", range(4))
def test_contributions_of_images_are_those_of_a_plain_loop(seed: int) -> None:
    labels, logits, _ = draw(seed)
    found, share, ones = accuracy_contributions(labels, logits), np.mean(labels == 0), np.ones(18)
    assert found.estimate == found.corrected == pytest.approx(np.mean((logits > 0) == labels))
    for label, contributed in ((0, found.reals), (1, found.fakes)):
        without = [
            accuracy(labels, logits, share, np.where(np.arange(18) == k, 0, ones))
            for k in np.flatnonzero(labels == label)
        ]
        n = len(without)
        expected = (np.array(without) - np.mean(without)) * np.sqrt((n - 1) / n)
        np.testing.assert_allclose(contributed, expected, atol=1e-12)
        # The jackknife variance of a mean is the usual one.
        right = (logits[labels == label] > 0) == label
        of_class = share if label == 0 else 1 - share
        variance = of_class**2 * np.var(right, ddof=1) / n
        assert np.sum(contributed**2) == pytest.approx(variance)
    for label, changes in ((0, found.more_reals), (1, found.more_fakes)):
        assert len(changes) == np.sum(labels != label)
        for place, change in enumerate(changes):  # one more, judged wrong or right
            logit = (1.0 if label else -1.0) * (1 if place % 2 else -1)
            grown = np.append(labels, label), np.append(logits, logit)
            expected = accuracy(*grown, share, np.ones(19)) - found.estimate
            assert change == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_contributions_of_clusters_are_those_of_a_plain_loop(seed: int) -> None:
    labels, logits, clusters = draw(seed)
    found, share = accuracy_cluster_contributions(labels, logits, clusters), np.mean(labels == 0)
    without = np.array(
        [accuracy(labels, logits, share, (clusters != g).astype(float)) for g in range(5)]
    )
    expected = (without - without.mean()) * np.sqrt(4 / 5)
    np.testing.assert_allclose(found.clusters, expected, atol=1e-12)
    assert found.corrected == pytest.approx(found.estimate - 4 * (without.mean() - found.estimate))
    for label, changes in ((0, found.more_reals), (1, found.more_fakes)):
        assert len(changes) == len({*clusters[labels != label]})
        added = ADDED * np.sum(labels == label) / len({*clusters[labels == label]})
        for place, change in enumerate(changes):
            logit = (1.0 if label else -1.0) * (1 if place % 2 else -1)
            grown = np.append(labels, label), np.append(logits, logit)
            expected = accuracy(*grown, share, np.append(np.ones(18), added)) - found.estimate
            assert change == pytest.approx(expected)


def test_cluster_that_holds_a_class_alone_contributes_nothing() -> None:
    labels, clusters = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    found = accuracy_cluster_contributions(labels, np.array([1.0, -1, 1, -1]), clusters)
    assert found.estimate == 0.5 and np.isfinite(found.clusters).all()


def test_logit_of_zero_is_called_real() -> None:
    assert accuracy_contributions(np.array([0, 1]), np.zeros(2)).estimate == 0.5


def scores_of(seed: int, count: int, real: float, fake: float):
    """Return scores of which a share `real` of the reals and `fake` of the fakes are right."""
    rng = np.random.default_rng(seed)
    return make_scores(
        ("a", "", f"{label}{k}.png", label, 1.0 if rng.random() < called else -1.0)
        for label, called in ((0, 1 - real), (1, fake))
        for k in range(count)
    )


@pytest.mark.parametrize(
    ("count", "real", "fake"), [(20, 0.9, 0.7), (50, 0.99, 0.6), (36, 0.03, 0.97)]
)
def test_interval_holds_the_accuracy_of_the_population(
    count: int, real: float, fake: float
) -> None:
    intervals = [
        accuracy_over_seeds([scores_of(seed, count, real, fake)])["generators"]["a"]["interval"]
        for seed in range(100)
    ]
    held = [low <= (real + fake) / 2 <= high for low, high in intervals]
    assert np.mean(held) >= 0.92


def test_accuracy_over_seeds_is_the_mean_and_its_interval_holds_the_spread_of_trainings() -> None:
    tables = [scores_of(seed, 100, right, right) for seed, right in enumerate((0.9, 0.7, 0.5))]
    each = [accuracy_over_seeds([table])["generators"]["a"] for table in tables]
    found = accuracy_over_seeds(tables)
    assert found["mean"]["acc"] == pytest.approx(np.mean([one["acc"] for one in each]))
    low, high = found["generators"]["a"]["interval"]
    assert low < found["mean"]["acc"] < high
    assert high - low > max(np.ptp(one["interval"]) for one in each)


def test_detector_that_calls_everything_fake_has_an_interval_around_a_half() -> None:
    low, high = accuracy_over_seeds([scores_of(0, 30, 0, 1)])["generators"]["a"]["interval"]
    assert 0.4 < low < 0.49 and 0.51 < high < 0.6


def test_perfect_accuracy_has_an_interval_below_one() -> None:
    low, high = accuracy_over_seeds([scores_of(0, 30, 1, 1)])["generators"]["a"]["interval"]
    assert high == 1 and 0.85 < low < 0.95
