"""What each image, or cluster of images, contributes to an accuracy at probability 0.5.

It is what `jackknife` and `clusters` give for the average precision: the accuracy is computed
again without each of them in turn, at the ratio of the classes in the whole set. One more image of
a class is judged right in half of the changes and wrong in the others: a class that is judged all
alike does not prove that every image is.
"""

from __future__ import annotations

import numpy as np

from genspot.evaluation.clusters import ADDED, ClusterContributions
from genspot.evaluation.jackknife import ImageContributions, leave_out


def accuracy_contributions(labels: np.ndarray, logits: np.ndarray) -> ImageContributions:
    """Return the contributions of N images, in their order within each class.

    Args:
        labels: N of them, both classes present.
        logits: N of them, finite; above 0 means fake.
    """
    called = logits > 0
    right = {label: (called[labels == label] == label).astype(np.float64) for label in (0, 1)}
    share = {label: len(right[label]) / len(labels) for label in right}
    value = float(sum(share[label] * right[label].mean() for label in right))
    contributed, more = {}, {}
    for label, own in right.items():
        others = max(1, len(own) - 1)
        without = value + share[label] * ((own.sum() - own) / others - own.mean())
        contributed[label], _ = leave_out(value, without)  # a mean has no bias
        judged = _half_right(len(right[1 - label]))
        grown = (own.sum() + judged) / (len(own) + 1)
        more[label] = share[label] * (grown - own.mean())
    return ImageContributions(
        estimate=value,
        corrected=value,
        reals=contributed[0],
        fakes=contributed[1],
        more_reals=more[0],
        more_fakes=more[1],
    )


def accuracy_cluster_contributions(
    labels: np.ndarray, logits: np.ndarray, clusters: np.ndarray
) -> ClusterContributions:
    """Return the contributions of G clusters, in the order of their numbers.

    A cluster without which a class is empty contributes nothing.

    Args:
        labels: N of them, both classes present.
        logits: N of them, finite; above 0 means fake.
        clusters: N numbers from 0 to G - 1, each present.
    """
    right = ((logits > 0) == labels).astype(np.float64)
    count = 1 + int(clusters.max())
    sizes, sums = np.zeros((2, count)), np.zeros((2, count))
    for label in (0, 1):
        of_label = labels == label
        sizes[label] = np.bincount(clusters[of_label], minlength=count)
        sums[label] = np.bincount(clusters[of_label], right[of_label], count)
    images, total = sizes.sum(axis=1, keepdims=True), sums.sum(axis=1, keepdims=True)
    share = images / len(labels)
    value = float((share * total / images).sum())
    left = images - sizes
    without = (share * (total - sums) / np.maximum(left, 1)).sum(axis=0)
    without[(left == 0).any(axis=0)] = value
    contributed, bias = leave_out(value, without)
    added = ADDED * images / (sizes > 0).sum(axis=1, keepdims=True)
    more = {}
    for label in (0, 1):
        judged = _half_right(int((sizes[1 - label] > 0).sum()))
        grown = (total[label] + added[label] * judged) / (images[label] + added[label])
        more[label] = share[label] * (grown - total[label] / images[label])
    return ClusterContributions(
        estimate=value,
        corrected=value - bias,
        more_reals=more[0],
        more_fakes=more[1],
        clusters=contributed,
    )


def _half_right(count: int) -> np.ndarray:
    """Return `count` ones and zeros by turns: judged right, and wrong."""
    return np.arange(count) % 2
