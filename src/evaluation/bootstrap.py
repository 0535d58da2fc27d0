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

from genspot.common.errors import GenspotError
from genspot.common.geometry import check_integer
from genspot.evaluation.resampling import ScoredImages, resample, shared_images, stream


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the confidence intervals.

    Raises:
        GenspotError: A setting is outside its range.
    """

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


DEFAULT_BOOTSTRAP = Bootstrap()


def percentile_interval(replicates: np.ndarray, confidence: float) -> list[float]:
    """Return the [lowest, highest] percentiles that enclose the fraction `confidence`."""
    tail = (1 - confidence) / 2
    return [float(end) for end in np.quantile(replicates, [tail, 1 - tail])]


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
        scores: the table of scores.
        bootstrap: settings; `confidence` is not used.
        real_sets: generator → the set its real images come from. A generator that is not in it
            has real images of its own.

    Returns:
        generator, sorted by name → `replicates` values in [0, 1]. Replicate r of one generator
        belongs to replicate r of every other.

    Raises:
        GenspotError: An image has two scores.
    """
    images = shared_images([scores])
    resampled = resample(images, real_sets or {}, bootstrap.replicates, bootstrap.seed)
    return {name: aps[0] for name, aps in resampled.items()}


def paired_difference(
    first: pa.Table,
    second: pa.Table,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the AP of `first` minus that of `second` on the images that both have scored.

    Both tables are resampled alike, so that the difficulty of an image cancels out. Generators
    without common images of both classes are left out.

    Args:
        first, second: tables of scores.
        bootstrap: settings.
        real_sets: see `bootstrap_ap`.

    Returns:
        {"generators": {name: {"difference", "interval", "images"}}, "mean": {"generators",
        "difference", "interval", "images"}}. Differences are fractions in [-1, 1]; the mean over
        no generators is None.

    Raises:
        GenspotError: An image has two scores in one table.
    """
    images = shared_images([first, second])
    points = {name: np.subtract(*scored.aps()) for name, scored in images.items()}
    resampled = resample(images, real_sets or {}, bootstrap.replicates, bootstrap.seed)
    replicates = {name: aps[0] - aps[1] for name, aps in resampled.items()}
    return _summarise("difference", images, points, replicates, bootstrap.confidence)


def ap_over_seeds(
    tables: list[pa.Table],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    real_sets: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the mean AP of several trainings that differ in their seed alone.

    Each replicate draws trainings with replacement, the same for every generator, and images, the
    same for every training. With one training the interval is that of `bootstrap_ap`. With few
    trainings it is too narrow: the variance between k trainings is underestimated by (k - 1) / k.

    Args:
        tables: scores of each training; only images scored by all of them count.
        bootstrap: settings.
        real_sets: see `bootstrap_ap`.

    Returns:
        {"generators": {name: {"ap", "interval", "images"}}, "mean": {"generators", "ap",
        "interval", "images"}}. APs are fractions; the mean over no generators is None.

    Raises:
        GenspotError: An image has two scores in one table.
    """
    images = shared_images(tables)
    points = {name: np.mean(scored.aps()) for name, scored in images.items()}
    size = (len(tables), bootstrap.replicates)
    trainings = stream(bootstrap.seed, "trainings").integers(len(tables), size=size)
    resampled = resample(images, real_sets or {}, bootstrap.replicates, bootstrap.seed)
    replicates = {
        name: np.take_along_axis(aps, trainings, axis=0).mean(axis=0)
        for name, aps in resampled.items()
    }
    return _summarise("ap", images, points, replicates, bootstrap.confidence)


def _summarise(
    key: str,
    images: dict[str, ScoredImages],
    points: dict[str, np.floating[Any]],
    replicates: dict[str, np.ndarray],
    confidence: float,
) -> dict[str, Any]:
    """Return the estimates under `key` and their intervals, by generator and of their mean."""
    generators = {
        name: {
            key: float(points[name]),
            "interval": percentile_interval(replicates[name], confidence),
            "images": len(scored.labels),
        }
        for name, scored in images.items()
    }
    mean: dict[str, Any] = {"generators": len(images), key: None, "interval": None}
    if images:
        mean[key] = float(np.mean(list(points.values())))
        mean["interval"] = percentile_interval(
            np.mean(list(replicates.values()), axis=0), confidence
        )
    mean["images"] = sum(len(scored.labels) for scored in images.values())
    return {"generators": generators, "mean": mean}
