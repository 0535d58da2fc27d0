"""Resamples of the images of a table of scores, and the average precision of each.

Images are drawn with replacement, real and fake images separately, and real images that several
generators share are drawn once for all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError


class WeightedAP:
    """Average precision of weighted images; equal logits form one rank.

    One sort serves all resamples, because a resample only changes how often each image counts.

    Args:
        labels: N of them.
        logits: N of them.
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


@dataclass(frozen=True)
class ScoredImages:
    """The images of one generator, sorted by path, with their scores in several tables."""

    labels: np.ndarray  # N
    real_images: list[tuple[str, str]]  # (class, file name), which identifies it within a real set
    weighted_aps: list[WeightedAP]  # one per table

    def aps(self, weights: np.ndarray | None = None) -> list[float]:
        """Return the average precision in each table; without weights each image counts once."""
        if weights is None:
            weights = np.ones(len(self.labels), dtype=np.int64)
        return [ap.compute(weights) for ap in self.weighted_aps]


def shared_images(tables: list[pa.Table]) -> dict[str, ScoredImages]:
    """Return the images scored in all tables, by generator with both classes, sorted by name."""
    indexes = [_row_index(table) for table in tables]
    keys = sorted(set(indexes[0]).intersection(*indexes[1:]))
    rows = [np.array([index[key] for key in keys], dtype=np.int64) for index in indexes]
    logits = [table["logit"].to_numpy()[row] for table, row in zip(tables, rows, strict=True)]
    labels = tables[0]["label"].to_numpy()[rows[0]].astype(np.int64)
    classes = tables[0]["class"].cast(pa.string()).to_pylist()
    identities = [
        (classes[row], _file_name(path)) for row, (_, path) in zip(rows[0], keys, strict=True)
    ]
    names = np.array([name for name, _ in keys], dtype=object)
    result = {}
    for name in sorted(set(names)):
        members = np.flatnonzero(names == name)
        if {0, 1} <= set(labels[members].tolist()):
            result[name] = ScoredImages(
                labels[members],
                [identities[member] for member in members if labels[member] == 0],
                [WeightedAP(labels[members], scores[members]) for scores in logits],
            )
    return result


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


def _file_name(path: str) -> str:
    """Return the part of `path` below its last `0_real/`."""
    return path.replace("\\", "/").rpartition("/0_real/")[2]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return a generator seeded by `seed` and `name`; Python's own hash varies by process."""
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


def _draw_counts(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return how often each of `size` images occurs among `size` draws with replacement."""
    return np.bincount(rng.integers(size, size=size), minlength=size)


def resample(
    images: dict[str, ScoredImages], real_sets: Mapping[str, str], replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the APs (tables × replicates) of each generator, in the order of `images`."""
    pools: dict[str, dict[str, ScoredImages]] = {}
    for name, scored in images.items():
        owner = f"the set {real_sets[name]}" if name in real_sets else name
        pools.setdefault(f"reals of {owner}", {})[name] = scored
    result: dict[str, np.ndarray] = {}
    for pool, members in pools.items():
        result |= _resample_pool(members, stream(seed, pool), replicates, seed)
    return {name: result[name] for name in images}


def _resample_pool(
    members: dict[str, ScoredImages], real_rng: np.random.Generator, replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """Resample generators that share their real images, which `real_rng` draws."""
    pool = sorted({image for scored in members.values() for image in scored.real_images})
    numbers = {image: number for number, image in enumerate(pool)}
    reals = {
        name: np.array([numbers[image] for image in scored.real_images])
        for name, scored in members.items()
    }
    fake_rngs = {name: stream(seed, f"fakes of {name}") for name in members}
    result = {
        name: np.empty((len(scored.weighted_aps), replicates)) for name, scored in members.items()
    }
    for replicate in range(replicates):
        counts = _draw_counts(real_rng, len(pool))
        for name, scored in members.items():
            fake = scored.labels == 1
            weights = np.empty(len(fake), dtype=np.int64)
            weights[~fake] = counts[reals[name]]
            weights[fake] = _draw_counts(fake_rngs[name], len(fake) - len(reals[name]))
            result[name][:, replicate] = scored.aps(weights)
    return result
