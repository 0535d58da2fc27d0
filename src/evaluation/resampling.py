"""Resamples of the images of tables of scores, and the average precision of each."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from itertools import groupby

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError

REAL = "/0_real/"  # of real images in the released layout


class WeightedAP:
    """Average precision of N weighted images; equal logits form one rank.

    One sort serves all resamples, because a resample only changes how often each image counts.
    """

    def __init__(self, labels: np.ndarray, logits: np.ndarray) -> None:
        self.order = np.argsort(-logits, kind="stable")
        self.fake = labels[self.order] == 1
        ordered = logits[self.order]
        self.rank_ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def compute(self, weights: np.ndarray) -> float:
        """Return the average precision in [0, 1] where image i counts `weights[i]` times.

        Args:
            weights: N whole numbers, above 0 for at least one fake.
        """
        counts = weights[self.order]
        selected = np.cumsum(counts)[self.rank_ends]
        fakes = np.cumsum(counts * self.fake)[self.rank_ends]
        precision = fakes / np.maximum(selected, 1)
        return float((np.diff(fakes, prepend=0) * precision).sum() / fakes[-1])


# Labels of N images sorted by path, class and file name of the real ones, AP in each table.
SharedImages = tuple[np.ndarray, list[tuple[str, str]], list[WeightedAP]]


def resample(
    tables: list[pa.Table], replicates: int, seed: int, real_sets: Mapping[str, str] | None
) -> dict[str, tuple[int, np.ndarray, np.ndarray]]:
    """Return the average precisions of R = `replicates` resamples, drawn alike for all tables.

    Args:
        tables: T tables of scores; only images in all of them count.
        real_sets: see `bootstrap.bootstrap_ap`.

    Returns:
        generator with images of both classes, sorted by name → number of its images, its AP in
        each table (T), and its AP in each table and resample (T × R).

    Raises:
        GenspotError: An image has two scores in one table.
    """
    generators = _shared_images(tables)
    sets = {name: f"the set {real_set}" for name, real_set in (real_sets or {}).items()}
    pools: dict[str, set[tuple[str, str]]] = {}  # the real images to draw from
    for name, (_, reals, _) in generators.items():
        pools.setdefault(sets.get(name, name), set()).update(reals)
    result = {}
    for name, (labels, reals, weighted_aps) in generators.items():
        pool = sets.get(name, name)
        numbers = {image: number for number, image in enumerate(sorted(pools[pool]))}
        real_rows = [numbers[image] for image in reals]
        real_rng, fake_rng = stream(seed, f"reals of {pool}"), stream(seed, f"fakes of {name}")
        fake, weights = labels == 1, np.ones(len(labels), dtype=np.int64)
        points = np.array([ap.compute(weights) for ap in weighted_aps])
        aps = np.empty((len(tables), replicates))
        for replicate in range(replicates):
            weights[~fake] = _draw_counts(real_rng, len(numbers))[real_rows]
            weights[fake] = _draw_counts(fake_rng, len(labels) - len(reals))
            aps[:, replicate] = [ap.compute(weights) for ap in weighted_aps]
        result[name] = (len(labels), points, aps)
    return result


def _shared_images(tables: list[pa.Table]) -> dict[str, SharedImages]:
    """Return the images in all tables, by generator with both classes, sorted by name."""
    indexes = [_row_index(table) for table in tables]
    labels = tables[0]["label"].to_numpy().astype(np.int64)
    classes = tables[0]["class"].cast(pa.string()).to_pylist()
    logits = [table["logit"].to_numpy() for table in tables]
    result = {}
    keys = sorted(set(indexes[0]).intersection(*indexes[1:]))
    for name, group in groupby(keys, key=lambda key: key[0]):
        members = list(group)
        rows = [[index[key] for key in members] for index in indexes]
        reals = _real_names(
            [
                (classes[row], path.replace("\\", "/"))
                for row, (_, path) in zip(rows[0], members, strict=True)
                if labels[row] == 0
            ]
        )
        if 0 < len(reals) < len(members):
            own = labels[rows[0]]
            aps = [WeightedAP(own, table[row]) for table, row in zip(logits, rows, strict=True)]
            result[name] = (own, reals, aps)
    return result


def _real_names(images: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (class, path within the folder 0_real of the class) of images (class, path).

    Folders below may be named 0_real as well, so the one that counts is common to all images of
    the class.
    """
    paths: dict[str, list[str]] = {}
    for class_name, path in images:
        paths.setdefault(class_name, []).append(path)
    folders = {}
    for name, of_class in paths.items():
        common = os.path.commonprefix(of_class)  # noqa: RUF071 (up to REAL, these are folders)
        folders[name] = "".join(common.rpartition(REAL)[:2])
    return [
        (name, path[len(folders[name]) :] if folders[name] else path.rpartition(REAL)[2])
        for name, path in images
    ]


def _row_index(table: pa.Table) -> dict[tuple[str, str], int]:
    """Return (generator, path) → row."""
    names = table["generator"].cast(pa.string()).to_pylist()
    index: dict[tuple[str, str], int] = {}
    for row, key in enumerate(zip(names, table["path"].to_pylist(), strict=True)):
        if index.setdefault(key, row) != row:
            raise GenspotError(
                f"{key[1]} has two scores for generator {key[0]}; give a table of one test"
            )
    return index


def stream(seed: int, name: str) -> np.random.Generator:
    """Return a generator seeded by `seed` and `name`; Python's own hash varies by process."""
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


def _draw_counts(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return how often each of `size` images occurs among `size` draws with replacement."""
    return np.bincount(rng.integers(size, size=size), minlength=size)
