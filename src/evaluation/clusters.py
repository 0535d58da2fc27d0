"""What each cluster of images contributes to an average precision: the jackknife over clusters.

A cluster is a photograph that several images, real and fake, come from. Photographs are drawn
from the population then, not images. The average precision is computed again without each cluster
in turn (Wolter, "Introduction to Variance Estimation", 2007, chapter 4). The ratio of the classes
stays that of the whole set: the other images of a class weigh a little more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genspot.evaluation.jackknife import (
    Contributions,
    ImageContributions,
    leave_out,
    precision,
)

ADDED = 0.5  # size of the added cluster, in mean clusters; docs/intervals.md compares others


@dataclass(frozen=True, kw_only=True)
class ClusterContributions(Contributions):
    """What G clusters contribute.

    `more_reals` has a change for each cluster with fake images: the real images of `ADDED`
    clusters more score like these. `more_fakes` has one for each cluster with real images.

    Attributes:
        clusters: G contributions. The sum of their squares is the variance of the estimate that
            the choice of the clusters causes.
    """

    clusters: np.ndarray


def cluster_contributions(
    labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray
) -> ClusterContributions:
    """Return the contributions of G clusters, in the order of their numbers.

    A cluster without which a class is empty contributes nothing. Equal logits form one rank.

    Args:
        labels: N of them, both classes present.
        logits: N of them, finite.
        clusters: N numbers from 0 to G - 1, each present.
    """
    ranks = np.unique(-logits.astype(np.float64), return_inverse=True)[1]
    count = 1 + ranks.max()
    cells = ranks + count * labels  # the ranks of the reals, then those of the fakes
    totals = np.bincount(cells, minlength=2 * count).reshape(2, count)
    images = totals.sum(axis=1)  # real and fake
    ratio = images[0] / images[1]
    value = _average_precision(totals[0], totals[1], ratio)
    rows = np.split(np.argsort(clusters, kind="stable"), np.cumsum(np.bincount(clusters))[:-1])
    held = [len(np.unique(clusters[labels == label])) for label in (0, 1)]
    added = ADDED * images / held
    without, more_reals, more_fakes = [], [], []
    for of_cluster in rows:
        own = np.bincount(cells[of_cluster], minlength=2 * count).reshape(2, count)
        size = own.sum(axis=1)
        left = totals - own
        others = (size < images).all()  # in both classes
        without.append(_average_precision(left[0], left[1], ratio) if others else value)
        if size[1]:
            reals = totals[0] + added[0] * own[1] / size[1]
            more_reals.append(_average_precision(reals, totals[1], ratio) - value)
        if size[0]:
            fakes = totals[1] + added[1] * own[0] / size[0]
            more_fakes.append(_average_precision(totals[0], fakes, ratio) - value)
    contributed, bias = leave_out(value, np.array(without))
    return ClusterContributions(
        estimate=value,
        corrected=value - bias,
        more_reals=np.array(more_reals),
        more_fakes=np.array(more_fakes),
        clusters=contributed,
    )


def sums_over_clusters(
    images: ImageContributions, labels: np.ndarray, clusters: np.ndarray
) -> ClusterContributions:
    """Return about what `cluster_contributions` returns, from those of N images, in O(N).

    A cluster is taken to contribute what its images do, which holds for small clusters.

    Args:
        images: what each of them contributes.
        labels: N of them.
        clusters: N numbers from 0 to G - 1, each present.
    """
    count = 1 + clusters.max()
    sums = np.zeros(count)
    more = []
    for label, own, changes in (
        (0, images.reals, images.more_fakes),
        (1, images.fakes, images.more_reals),
    ):
        places = clusters[labels == label]
        sums += np.bincount(places, own, count)
        held = np.bincount(places, minlength=count)
        other = clusters[labels != label]
        added = ADDED * len(other) / len(np.unique(other))
        more.append(added * np.bincount(places, changes, count)[held > 0] / held[held > 0])
    return ClusterContributions(
        estimate=images.estimate,
        corrected=images.corrected,
        more_reals=more[1],
        more_fakes=more[0],
        clusters=sums * np.sqrt(count / (count - 1)),
    )


def _average_precision(reals: np.ndarray, fakes: np.ndarray, ratio: float) -> float:
    """Return the average precision of images by rank, where all reals weigh `ratio` × all fakes.

    Args:
        reals, fakes: weights of the images at each rank, the highest logit first.
        ratio: of the classes.
    """
    total = fakes.sum()
    reals = reals * (ratio * total / reals.sum())
    return float(fakes @ precision(np.cumsum(fakes).astype(np.float64), np.cumsum(reals)) / total)
