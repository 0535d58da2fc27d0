"""Confidence intervals of average precision by the bootstrap.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. Images are drawn
with replacement, real and fake images separately. Labels are 0 for real and 1 for fake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError
from genspot.evaluation.resampling import resample, stream


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the confidence intervals; GenspotError names one outside its range."""

    replicates: int = 1000  # resamples of each generator, 1 to 10⁷
    confidence: float = 0.95  # fraction of the replicates that an interval covers, in (0, 1)
    seed: int = 0  # of the resamples, 0 to 2³² - 1

    def __post_init__(self) -> None:
        check_integer("bootstrap.replicates", self.replicates, minimum=1, maximum=10**7)
        check_integer("seed", self.seed, minimum=0, maximum=2**32 - 1)
        if not isinstance(self.confidence, float) or not 0 < self.confidence < 1:
            raise GenspotError(
                f"bootstrap.confidence={self.confidence}: give a number between 0 and 1"
            )

    def interval(self, replicates: np.ndarray) -> list[float]:
        """Return the [lowest, highest] percentiles that enclose the fraction `confidence`."""
        tail = (1 - self.confidence) / 2
        return [float(end) for end in np.quantile(replicates, [tail, 1 - tail])]


DEFAULT_BOOTSTRAP = Bootstrap()


def bootstrap_ap(
    scores: pa.Table,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, np.ndarray]:
    """Return the average precision of each resample, by generator with images of both classes.

    Generators of one real set share their real images: each image (class and file name) is drawn
    once for the whole set and counts equally often in each generator. As many images are drawn as
    the set has, so a generator that lacks some gets about, not exactly, as many as it has.

    The draws depend on the seed, on the name of the generator or real set, and on its images; not
    on the scores, the order of the rows or other generators (other than through a shared set).

    Args:
        scores: a table of scores.
        bootstrap: settings; `confidence` is not used.
        real_sets: generator → the set its real images come from; others have their own.

    Returns:
        generator, sorted by name → `replicates` values in [0, 1]. Replicate r of one generator
        belongs to replicate r of every other.

    Raises:
        GenspotError: An image has two scores.
    """
    resampled = resample([scores], bootstrap.replicates, bootstrap.seed, real_sets)
    return {name: aps[0] for name, (_, _, aps) in resampled.items()}


def paired_difference(
    first: pa.Table,
    second: pa.Table,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the AP of `first` minus that of `second` on the images that both have scored.

    Both tables are resampled alike, so that the difficulty of an image cancels out. Generators
    without common images of both classes are left out. Arguments and errors are as in
    `bootstrap_ap`.

    Returns:
        {"generators": {name: {"difference", "interval", "images"}}, "mean": {"generators",
        "difference", "interval", "images"}}. Differences are fractions in [-1, 1]; the mean over
        no generators is None.
    """
    resampled = resample([first, second], bootstrap.replicates, bootstrap.seed, real_sets)
    estimates = {
        name: (images, points[0] - points[1], aps[0] - aps[1])
        for name, (images, points, aps) in resampled.items()
    }
    return _summarise("difference", estimates, bootstrap)


def ap_over_seeds(
    tables: list[pa.Table],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the mean AP, on the images in all `tables`, of trainings that differ in their seed.

    Each replicate draws trainings with replacement, the same for every generator, and images, the
    same for every training. With one training the interval is that of `bootstrap_ap`. With few
    trainings it is too narrow: the variance between k trainings is underestimated by (k - 1) / k.
    Arguments and errors are as in `bootstrap_ap`; the result is that of `paired_difference`, with
    "ap", a fraction in [0, 1], in place of "difference".
    """
    size = (len(tables), bootstrap.replicates)
    trainings = stream(bootstrap.seed, "trainings").integers(len(tables), size=size)
    resampled = resample(tables, bootstrap.replicates, bootstrap.seed, real_sets)
    estimates = {
        name: (images, points.mean(), np.take_along_axis(aps, trainings, axis=0).mean(axis=0))
        for name, (images, points, aps) in resampled.items()
    }
    return _summarise("ap", estimates, bootstrap)


def _summarise(
    key: str, estimates: dict[str, tuple[int, np.floating[Any], np.ndarray]], bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return `estimates` (images, estimate, replicates) under `key` with intervals and mean."""
    generators = {
        name: {key: float(estimate), "interval": bootstrap.interval(replicates), "images": images}
        for name, (images, estimate, replicates) in estimates.items()
    }
    mean: dict[str, Any] = {"generators": len(estimates), key: None, "interval": None, "images": 0}
    if estimates:
        counts, points, replicates = zip(*estimates.values(), strict=True)
        interval = bootstrap.interval(np.mean(replicates, axis=0))
        mean |= {key: float(np.mean(points)), "interval": interval, "images": sum(counts)}
    return {"generators": generators, "mean": mean}
