"""How far average precision would move with other images: the bootstrap, from tables of scores.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. Images are drawn
with replacement, reals and fakes apart. Labels are 0 for real and 1 for fake.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError


def interval(replicates: np.ndarray, confidence: float) -> list[float]:
    """The percentile interval [lowest, highest] that covers `confidence` of the replicates."""
    tail = (1 - confidence) / 2
    return [float(end) for end in np.quantile(replicates, [tail, 1 - tail])]


class Ranking:
    """Labels (N) in the order of their logits (N), the highest first; equal logits are one rank.

    One sort serves all resamples: a resample only changes how often each image counts.
    """

    def __init__(self, labels: np.ndarray, logits: np.ndarray) -> None:
        self.order = np.argsort(-logits, kind="stable")
        self.fake = labels[self.order] == 1
        ordered = logits[self.order]
        self.last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of each rank

    def ap(self, weights: np.ndarray) -> float:
        """Average precision in [0, 1] where image i counts `weights[i]` times (N whole numbers).

        At least one fake must count.
        """
        counts = weights[self.order]
        chosen = np.cumsum(counts)[self.last]
        hits = np.cumsum(counts * self.fake)[self.last]
        precision = hits / np.maximum(chosen, 1)
        return float((np.diff(hits, prepend=0) * precision).sum() / hits[-1])


@dataclass(frozen=True)
class _Scored:
    """The images of one generator, sorted by path, as several tables score them.

    Attributes:
        labels: N of them.
        reals: (class, file name) of each real image: who it is among the sets of generators.
        rankings: one a table.
    """

    labels: np.ndarray
    reals: list[tuple[str, str]]
    rankings: list[Ranking]

    def aps(self, weights: np.ndarray) -> list[float]:
        """The average precision in each table."""
        return [ranking.ap(weights) for ranking in self.rankings]


def replicate(
    scores: pa.Table, real_sets: dict[str, str], replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """Average precisions of the bootstrap resamples of every generator with both classes.

    Generators of one set share their real images: each image (class and file name) is drawn
    once for the whole set and counts equally often wherever it is. As many are drawn as the set
    has, so a generator that lacks some gets about, not exactly, as many as it has.

    The draws depend on `seed`, on the name of the generator or set and on the images alone: not
    on their scores, the order of rows or what other generators there are (but for the reals that
    they bring into the set).

    Args:
        scores: the table of scores.
        real_sets: generator → the set its real images come from; one that is not in it has
            real images of its own.
        replicates: resamples of each generator.
        seed: of the draws, 0 or more.

    Returns:
        `replicates` values in [0, 1] by generator, sorted by name; replicate r of one generator
        and of another belong together.

    Raises:
        GenspotError: an image is there twice.
    """
    return {
        name: aps[0]
        for name, aps in _resampled(_scored([scores]), real_sets, replicates, seed).items()
    }


def paired(
    one: pa.Table,
    other: pa.Table,
    real_sets: dict[str, str],
    replicates: int,
    seed: int,
    confidence: float,
) -> dict[str, Any]:
    """By how much the AP of `one` exceeds that of `other` on the images that both scored.

    Both sides see the same resamples, so that what is hard about an image cancels out.
    Generators without common images of both classes are left out.

    Args:
        one: a table of scores.
        other: another.
        real_sets: see `replicate`.
        replicates: resamples of each generator.
        seed: of the draws, 0 or more.
        confidence: of the intervals, such as 0.95.

    Returns:
        {"generators": {name: {"difference", "interval", "images"}}, "mean": {"generators",
        "difference", "interval", "images"}}; differences are fractions in [-1, 1], and None in
        the mean over no generators.

    Raises:
        GenspotError: an image is twice in one of the tables.
    """
    scored = _scored([one, other])
    plain = {name: _plain(images) for name, images in scored.items()}
    points = {name: left - right for name, (left, right) in plain.items()}
    resampled = {
        name: aps[0] - aps[1]
        for name, aps in _resampled(scored, real_sets, replicates, seed).items()
    }
    return _summary("difference", scored, points, resampled, confidence)


def combined(
    tables: list[pa.Table],
    real_sets: dict[str, str],
    replicates: int,
    seed: int,
    confidence: float,
) -> dict[str, Any]:
    """The AP of an experiment, averaged over trainings that differ in their seed alone.

    Each replicate draws the trainings with replacement and, for all of them alike, the images;
    it draws the same trainings for every generator. The interval of one training is that of its
    images. Of few trainings it is too narrow: k of them spread by (k - 1) / k of the variance.

    Args:
        tables: of scores, one a training; the images that all scored count.
        real_sets: see `replicate`.
        replicates: resamples of each generator.
        seed: of the draws, 0 or more.
        confidence: of the intervals, such as 0.95.

    Returns:
        {"generators": {name: {"ap", "interval", "images"}}, "mean": {"generators", "ap",
        "interval", "images"}}; all APs are fractions, and None in the mean over no generators.

    Raises:
        GenspotError: an image is twice in one of the tables.
    """
    scored = _scored(tables)
    points = {name: float(np.mean(_plain(images))) for name, images in scored.items()}
    size = (len(tables), replicates)
    trainings = _stream(seed, "trainings").integers(len(tables), size=size)
    resampled = {
        name: np.take_along_axis(aps, trainings, axis=0).mean(axis=0)
        for name, aps in _resampled(scored, real_sets, replicates, seed).items()
    }
    return _summary("ap", scored, points, resampled, confidence)


def _plain(images: _Scored) -> list[float]:
    """The average precision in each table where every image counts once."""
    return images.aps(np.ones(len(images.labels), dtype=np.int64))


def _summary(
    key: str,
    scored: dict[str, _Scored],
    points: dict[str, float],
    resampled: dict[str, np.ndarray],
    confidence: float,
) -> dict[str, Any]:
    """Estimates under `key` and their intervals, of each generator and of their mean."""
    generators = {
        name: {
            key: points[name],
            "interval": interval(resampled[name], confidence),
            "images": len(images.labels),
        }
        for name, images in scored.items()
    }
    mean: dict[str, Any] = {"generators": len(scored), key: None, "interval": None}
    if scored:
        mean[key] = float(np.mean(list(points.values())))
        mean["interval"] = interval(np.mean(list(resampled.values()), axis=0), confidence)
    mean["images"] = sum(len(images.labels) for images in scored.values())
    return {"generators": generators, "mean": mean}


def _scored(tables: list[pa.Table]) -> dict[str, _Scored]:
    """The images that all tables score, by generator; only generators with both classes."""
    places = [_places(table) for table in tables]
    shared = sorted(set(places[0]).intersection(*places[1:]))
    rows = [np.array([place[key] for key in shared], dtype=np.int64) for place in places]
    logits = [table["logit"].to_numpy()[mine] for table, mine in zip(tables, rows, strict=True)]
    labels = tables[0]["label"].to_numpy()[rows[0]].astype(np.int64)
    classes = tables[0]["class"].cast(pa.string()).to_pylist()
    identities = [
        (classes[row], _below_half(path)) for row, (_, path) in zip(rows[0], shared, strict=True)
    ]
    names = np.array([name for name, _ in shared], dtype=object)
    result = {}
    for name in sorted(set(names)):
        mine = np.flatnonzero(names == name)
        if {0, 1} <= set(labels[mine].tolist()):
            result[name] = _Scored(
                labels[mine],
                [identities[row] for row in mine if labels[row] == 0],
                [Ranking(labels[mine], one[mine]) for one in logits],
            )
    return result


def _places(table: pa.Table) -> dict[tuple[str, str], int]:
    """The row of each image by (generator, path)."""
    names = table["generator"].cast(pa.string()).to_pylist()
    places: dict[tuple[str, str], int] = {}
    for row, key in enumerate(zip(names, table["path"].to_pylist(), strict=True)):
        if places.setdefault(key, row) != row:
            raise GenspotError(
                f"{key[1]} has two scores for generator {key[0]}; give one table a test"
            )
    return places


def _below_half(path: str) -> str:
    """The part of `path` below its last `0_real/`."""
    return path.replace("\\", "/").rpartition("/0_real/")[2]


def _stream(seed: int, name: str) -> np.random.Generator:
    """Draws that depend on `seed` and `name` alone; Python's own hash differs in each process."""
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


def _counts(draws: np.random.Generator, size: int) -> np.ndarray:
    """How often each of `size` images is among as many, drawn with replacement."""
    return np.bincount(draws.integers(size, size=size), minlength=size)


def _resampled(
    scored: dict[str, _Scored], real_sets: dict[str, str], replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """APs of the resamples (tables × replicates) of each generator, in the order of `scored`."""
    together: dict[str, dict[str, _Scored]] = {}
    for name, images in scored.items():
        pool = f"reals of the set {real_sets[name]}" if name in real_sets else f"reals of {name}"
        together.setdefault(pool, {})[name] = images
    result: dict[str, np.ndarray] = {}
    for pool, members in together.items():
        result |= _resampled_together(members, _stream(seed, pool), replicates, seed)
    return {name: result[name] for name in scored}


def _resampled_together(
    members: dict[str, _Scored], draws: np.random.Generator, replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """`_resampled` of generators that share their real images, which `draws` draws."""
    pool = sorted({real for images in members.values() for real in images.reals})
    numbers = {real: number for number, real in enumerate(pool)}
    own = {name: _stream(seed, f"fakes of {name}") for name in members}
    held = {
        name: np.array([numbers[real] for real in images.reals])
        for name, images in members.items()
    }
    result = {name: np.empty((len(one.rankings), replicates)) for name, one in members.items()}
    for number in range(replicates):
        shared = _counts(draws, len(pool))
        for name, images in members.items():
            fake = images.labels == 1
            weights = np.empty(len(fake), dtype=np.int64)
            weights[~fake] = shared[held[name]]
            weights[fake] = _counts(own[name], len(fake) - len(held[name]))
            result[name][:, number] = images.aps(weights)
    return result
