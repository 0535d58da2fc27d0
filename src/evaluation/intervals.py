"""Confidence intervals of average precision, and of accuracy, by the jackknife.

An interval is for the AP of the population that the images are drawn from, at the ratio of the
classes in the set; real and fake images are drawn separately. Both ends are t intervals on the
logit scale around the AP without its bias in small samples. The lower end also holds if one more
image of each class ranks like a random image of the other class: a set without errors does not
prove that there are none. Where clusters are drawn, such as photographs of which a set has several
images, they take the place of the images, and half a cluster that of the one more image.
benchmarks/intervals.py and benchmarks/clusters.py measure how often the intervals are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit, stdtrit

from genspot.common.errors import GenspotError
from genspot.evaluation.clusters import ClusterContributions
from genspot.evaluation.jackknife import Contributions, ImageContributions, weighted_sum
from genspot.evaluation.shared_images import (
    ACCURACY,
    AP,
    GeneratorImages,
    Measure,
    shared_images,
)

DEFAULT_CONFIDENCE = 0.95


class Term(NamedTuple):
    """One term of a mean over generators."""

    pool: str  # terms of one pool share their real images, or their clusters
    numbers: np.ndarray  # of its R real images or G clusters, equal for the same one of a pool
    contributions: Contributions


class Draws(NamedTuple):
    """The images of one class of a term, or its clusters: what is drawn independently."""

    pool: tuple[str, str | int]  # draws of one pool with equal numbers are the same
    numbers: np.ndarray  # N of them
    contributed: np.ndarray  # N contributions
    added: float  # root mean square of the changes that more of them make
    most_freedom: float = math.inf  # degrees of freedom at most


class Variance(NamedTuple):
    """A variance that an independent draw of images, clusters or trainings causes."""

    value: float
    freedom: float  # degrees of freedom: the number drawn, less one


def check_confidence(confidence: float) -> None:
    """Raise GenspotError unless `confidence` is a number in (0, 1)."""
    if not isinstance(confidence, float) or not 0 < confidence < 1:
        raise GenspotError(f"confidence={confidence}: give a number between 0 and 1")


def ap_intervals(
    scores: pa.Table,
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the average precision of each generator with images of both classes, and their mean.

    Generators of one real set share their real images (equal class and file name), so that their
    errors do not average out in the mean.

    Args:
        scores: a table of scores.
        confidence: the fraction of sets of images whose interval holds the AP of the population.
        real_sets: generator → the set its real images come from; others have their own.
        clusters: generator → the column of `scores` that names the cluster of an image, such as
            "class" where the images of a class come from one photograph. The intervals are over
            clusters then; generators of one real set share those of equal name. The images of
            others are drawn one by one.

    Returns:
        {"generators": {name: {"ap", "interval", "images", "clusters"}}, "mean": {"generators",
        "ap", "interval", "images"}}, sorted by name. Fractions in [0, 1]; the mean over no
        generators is None. An interval is [lowest, highest] and holds its estimate. "clusters" is
        their number, or None.

    Raises:
        GenspotError: An image has two scores, the confidence is no number in (0, 1), or a column
            of `clusters` is missing.
    """
    return ap_over_seeds([scores], confidence, real_sets, clusters)


def paired_difference(
    first: pa.Table,
    second: pa.Table,
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the AP of `first` minus that of `second` on the images that both have scored.

    The difficulty of an image, or of a cluster, cancels out. Generators without common images of
    both classes are left out. Arguments, errors and result are as in `ap_intervals`, with
    "difference", a fraction in [-1, 1], in place of "ap".
    """
    generators = shared_images([first, second], real_sets, clusters)
    return _summarise("difference", generators, [1, -1], (-1.0, 1.0), confidence)


def ap_over_seeds(
    tables: list[pa.Table],
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the mean AP, on the images in all `tables`, of trainings that differ in their seed.

    The interval is over trainings and images or clusters; the trainings are the same for all
    generators. With one training it is over images or clusters. Arguments, errors and result are
    as in `ap_intervals`.
    """
    return _over_seeds(AP, tables, confidence, real_sets, clusters)


def accuracy_over_seeds(
    tables: list[pa.Table],
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the mean accuracy at probability 0.5 of trainings that differ in their seed.

    As `ap_over_seeds`, with "acc" in place of "ap".
    """
    return _over_seeds(ACCURACY, tables, confidence, real_sets, clusters)


def _over_seeds(
    measure: Measure,
    tables: list[pa.Table],
    confidence: float,
    real_sets: Mapping[str, str] | None,
    clusters: Mapping[str, str] | None,
) -> dict[str, Any]:
    generators = shared_images(tables, real_sets, clusters, measure)
    weights = [1 / len(tables)] * len(tables)
    return _summarise(measure.key, generators, weights, (0.0, 1.0), confidence, over_tables=True)


def _summarise(
    key: str,
    generators: dict[str, GeneratorImages],
    weights: Sequence[float],
    bounds: tuple[float, float],
    confidence: float,
    over_tables: bool = False,
) -> dict[str, Any]:
    """Return the estimates of Σ weight × measure over the tables under `key`: `ap_intervals`."""
    check_confidence(confidence)

    def summary(chosen: list[GeneratorImages]) -> dict[str, Any]:
        terms = [
            Term(each.pool, each.numbers, weighted_sum(each.tables, weights)) for each in chosen
        ]
        aps = np.mean([[table.estimate for table in each.tables] for each in chosen], axis=0)
        spread = []
        if over_tables and len(aps) > 1:
            spread = [Variance(float(np.var(aps, ddof=1)) / len(aps), len(aps) - 1)]
        return {
            key: float(np.dot(weights, aps)),
            "interval": mean_interval(terms, confidence, bounds, spread),
            "images": sum(each.images for each in chosen),
        }

    return {
        "generators": {
            name: summary([images]) | {"clusters": images.clusters}
            for name, images in generators.items()
        },
        "mean": {"generators": len(generators), key: None, "interval": None, "images": 0}
        | (summary([*generators.values()]) if generators else {}),
    }


def mean_interval(
    terms: Sequence[Term],
    confidence: float,
    bounds: tuple[float, float] = (0.0, 1.0),
    more: Sequence[Variance] = (),
) -> list[float]:
    """Return the interval [lowest, highest] of the mean of `terms`; it holds the estimate.

    Args:
        terms: one for each generator.
        confidence: see `ap_intervals`.
        bounds: the lowest and highest value there can be. They are returned where a class has one
            image, or lies in one cluster, which says nothing about the others.
        more: variances besides those of the images or clusters.
    """
    low, high = bounds
    parts = [term.contributions for term in terms]
    pools: dict[tuple[str, str | int], list[Draws]] = {}
    for draws in _draws(terms):
        pools.setdefault(draws.pool, []).append(draws)
    # Trainings with equal results have no variance; their number must not widen the interval.
    variances = [each for each in more if each.value > 0]
    variances += [_variance(pool, len(terms)) for pool in pools.values()]
    if min(each.freedom for each in variances) == 0:
        return [low, high]
    variance = sum(each.value for each in variances)
    tails = stdtrit(_freedom(variances), (1 + confidence) / 2)
    added = [sum(draws.added for draws in pool) for pool in pools.values()]
    added_variance = sum(np.square(added)) / len(terms) ** 2
    center = float(np.clip(np.mean([part.corrected for part in parts]), low, high))
    shift = float(np.mean([part.more_reals.mean() + part.more_fakes.mean() for part in parts]))
    ends = [float(np.mean([part.estimate for part in parts]))]
    ends += _logit_limits(center, tails * np.sqrt(variance), bounds)
    ends += _logit_limits(center + shift, tails * np.sqrt(variance + added_variance), bounds)
    return [min(ends), max(ends)]


def _draws(terms: Sequence[Term]) -> list[Draws]:
    """Return what is drawn for each term: clusters, or its real images and its fakes."""
    shared, fakes = [], []
    for index, (pool, numbers, part) in enumerate(terms):
        added = _rms(part.more_reals), _rms(part.more_fakes)
        if isinstance(part, ClusterContributions):
            # A class that lies in few of the clusters says little about others.
            freedom = min(len(part.more_reals), len(part.more_fakes)) - 1
            both = math.hypot(*added)
            shared.append(Draws(("clusters", pool), numbers, part.clusters, both, freedom))
        elif isinstance(part, ImageContributions):
            shared.append(Draws(("reals", pool), numbers, part.reals, added[0]))
            own = np.arange(len(part.fakes))
            fakes.append(Draws(("fakes", index), own, part.fakes, added[1]))
    return shared + fakes


def _variance(pool: Sequence[Draws], count: int) -> Variance:
    """Return the variance of a mean of `count` terms by the draws that `pool` shares."""
    numbers = np.concatenate([draws.numbers for draws in pool])
    sums = np.bincount(numbers, np.concatenate([draws.contributed for draws in pool]))
    freedom = len(np.unique(numbers)) - 1
    most = min(draws.most_freedom for draws in pool)
    return Variance(math.fsum(sums**2) / count**2, min(freedom, most))


def _freedom(variances: Sequence[Variance]) -> float:
    """Return the degrees of freedom of the sum (Satterthwaite, Biometrics Bulletin 1946)."""
    total = sum(each.value for each in variances)
    if total == 0:
        return min(each.freedom for each in variances)
    return total**2 / sum(each.value**2 / each.freedom for each in variances)


def _logit_limits(center: float, half_width: float, bounds: tuple[float, float]) -> list[float]:
    """Return center ± half_width, symmetric on the logit scale between the bounds."""
    low, high = bounds
    place = (center - low) / (high - low)
    if not 0 < place < 1:
        return [float(np.clip(center, low, high))] * 2
    distance = half_width / ((high - low) * place * (1 - place))
    return [low + (high - low) * float(expit(logit(place) + sign * distance)) for sign in (-1, 1)]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
