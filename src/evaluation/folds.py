"""Folds of images in which those that belong together stay together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

FOLDS = 5


def scene_names(samples: pa.Table) -> list[str]:
    """Return class/stem of the file for each row of a table of samples.

    Where several images of one label have it, as image.png in many folders, it names no scene:
    then it is the path.
    """
    paths, labels = samples["path"].to_pylist(), samples["label"].to_pylist()
    stems = (os.path.splitext(os.path.basename(path))[0] for path in paths)
    names = [
        f"{one}/{stem}" for one, stem in zip(samples["class"].to_pylist(), stems, strict=True)
    ]
    most = Counter(zip(names, labels, strict=True))
    several = {name for (name, _), count in most.items() if count > 1}
    return [path if name in several else name for name, path in zip(names, paths, strict=True)]


def joined(*names: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a number for each of N images, the same for those that belong together.

    Args:
        names: sequences of N names or numbers. Images belong together if one sequence has the
            same for both, or if both belong together with a third one.
    """
    images = len(names[0])
    ends = [np.unique(np.asarray(each), return_inverse=True)[1] for each in names]
    starts = np.cumsum([images, *(1 + found.max(initial=-1) for found in ends)])
    links = np.concatenate([found + start for found, start in zip(ends, starts, strict=False)])
    every = np.tile(np.arange(images), len(names))
    shape = (starts[-1], starts[-1])
    graph = coo_array((np.ones(len(every), np.int8), (every, links)), shape=shape)
    return np.asarray(connected_components(graph, directed=False)[1])[:images]


def fold_numbers(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold of each of N images, 0 to `FOLDS` − 1.

    A group lies in one fold. Groups with as many real images and as many fakes are dealt out in
    turn, in random order, so that each fold has its share of both classes.

    Args:
        labels: N of them.
        groups: N numbers from 0 to G − 1, each present.
        seed: of the order.
    """
    reals, fakes = (
        np.bincount(groups[labels == label], minlength=1 + groups.max()) for label in (0, 1)
    )
    chance = np.random.default_rng(seed).permutation(len(reals))
    folds = np.empty(len(reals), np.int64)
    folds[np.lexsort((chance, fakes, reals))] = np.arange(len(reals)) % FOLDS
    return folds[groups]
