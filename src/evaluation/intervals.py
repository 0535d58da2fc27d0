"""Confidence intervals of average precision by the jackknife.

An interval is for the AP of the population that the images are drawn from, at the ratio of the
classes in the set; real and fake images are drawn separately. Both ends are t intervals on the
logit scale around the AP without its bias in small samples. The lower end also holds if one more
image of each class ranks like a random image of the other class: a set without errors does not
prove that there are none. benchmarks/intervals.py measures how often the intervals are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit, stdtrit

from genspot.common.errors import GenspotError
from genspot.evaluation.jackknife import Contributions, weighted_sum
from genspot.evaluation.shared_images import GeneratorImages, shared_images

DEFAULT_CONFIDENCE = 0.95


class Term(NamedTuple):
    """One term of a mean over generators."""

    pool: str  # terms of one pool share their real images
    real_images: np.ndarray  # R numbers of its real images, equal for the same image of a pool
    contributions: Contributions


class Variance(NamedTuple):
    """A variance that an independent draw of images or trainings causes."""

    value: float
    freedom: int  # degrees of freedom: the number drawn, less one


def check_confidence(confidence: float) -> None:
    """Raise GenspotError unless `confidence` is a number in (0, 1)."""
    if not isinstance(confidence, float) or not 0 < confidence < 1:
        raise GenspotError(f"confidence={confidence}: give a number between 0 and 1")


def ap_intervals(
    scores: pa.Table,
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the average precision of each generator with images of both classes, and their mean.

    Generators of one real set share their real images (equal class and file name), so that their
    errors do not average out in the mean.

    Args:
        scores: a table of scores.
        confidence: the fraction of sets of images whose interval holds the AP of the population.
        real_sets: generator → the set its real images come from; others have their own.

    Returns:
        {"generators": {name: {"ap", "interval", "images"}}, "mean": {"generators", "ap",
        "interval", "images"}}, sorted by name. Fractions in [0, 1]; the mean over no generators is
        None. An interval is [lowest, highest] and holds its estimate.

    Raises:
        GenspotError: An image has two scores, or the confidence is no number in (0, 1).
    """
    return ap_over_seeds([scores], confidence, real_sets)


def paired_difference(
    first: pa.Table,
    second: pa.Table,
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the AP of `first` minus that of `second` on the images that both have scored.

    The difficulty of an image cancels out. Generators without common images of both classes are
    left out. Arguments, errors and result are as in `ap_intervals`, with "difference", a fraction
    in [-1, 1], in place of "ap".
    """
    generators = shared_images([first, second], real_sets)
    return _summarise("difference", generators, [1, -1], (-1.0, 1.0), confidence)


def ap_over_seeds(
    tables: list[pa.Table],
    confidence: float = DEFAULT_CONFIDENCE,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the mean AP, on the images in all `tables`, of trainings that differ in their seed.

    The interval is over trainings and images; both are the same for all generators. With one
    training it is over images. Arguments, errors and result are as in `ap_intervals`.
    """
    generators = shared_images(tables, real_sets)
    weights = [1 / len(tables)] * len(tables)
    return _summarise("ap", generators, weights, (0.0, 1.0), confidence, over_tables=True)


def _summarise(
    key: str,
    generators: dict[str, GeneratorImages],
    weights: Sequence[float],
    bounds: tuple[float, float],
    confidence: float,
    over_tables: bool = False,
) -> dict[str, Any]:
    """Return the estimates of Σ weight × AP over the tables under `key`, as in `ap_intervals`."""
    check_confidence(confidence)

    def summary(chosen: list[GeneratorImages]) -> dict[str, Any]:
        terms = [
            Term(each.pool, each.real_images, weighted_sum(each.tables, weights))
            for each in chosen
        ]
        aps = np.mean([[table.estimate for table in each.tables] for each in chosen], axis=0)
        spread = []
        if over_tables and len(aps) > 1:
            spread = [Variance(float(np.var(aps, ddof=1)) / len(aps), len(aps) - 1)]
        return {
            key: float(np.dot(weights, aps)),
            "interval": mean_interval(terms, confidence, bounds, spread),
            "images": sum(len(each.reals) + len(each.fakes) for *_, each in terms),
        }

    return {
        "generators": {name: summary([images]) for name, images in generators.items()},
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
            image, which says nothing about the others.
        more: variances besides those of the images.
    """
    low, high = bounds
    parts = [term.contributions for term in terms]
    pools: dict[str, list[Term]] = {}
    for term in terms:
        pools.setdefault(term.pool, []).append(term)
    variances = [*more, *(_variance_of_reals(pool, len(terms)) for pool in pools.values())]
    variances += [
        Variance(math.fsum(part.fakes**2) / len(terms) ** 2, len(part.fakes) - 1) for part in parts
    ]
    if min(each.freedom for each in variances) == 0:
        return [low, high]
    variance = sum(each.value for each in variances)
    tails = stdtrit(_freedom(variances), (1 + confidence) / 2)
    added = [sum(_rms(term.contributions.more_reals) for term in pool) for pool in pools.values()]
    added += [_rms(part.more_fakes) for part in parts]
    added_variance = sum(np.square(added)) / len(terms) ** 2
    center = float(np.clip(np.mean([part.corrected for part in parts]), low, high))
    shift = float(np.mean([part.more_reals.mean() + part.more_fakes.mean() for part in parts]))
    ends = [float(np.mean([part.estimate for part in parts]))]
    ends += _logit_limits(center, tails * np.sqrt(variance), bounds)
    ends += _logit_limits(center + shift, tails * np.sqrt(variance + added_variance), bounds)
    return [min(ends), max(ends)]


def _variance_of_reals(pool: Sequence[Term], count: int) -> Variance:
    """Return the variance of a mean of `count` terms by the real images that `pool` shares."""
    images = np.concatenate([term.real_images for term in pool])
    sums = np.bincount(images, np.concatenate([term.contributions.reals for term in pool]))
    return Variance(math.fsum(sums**2) / count**2, len(np.unique(images)) - 1)


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
