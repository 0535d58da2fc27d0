"""How often intervals over photographs hold the true average precision, by simulation.

    python -m benchmarks.clusters --workers 2

Sets of images are drawn where `WINDOWS` real and as many fake images come from each photograph. A
logit is the effect of its photograph plus that of the image, scaled so that all logits have the
population `normal` or `t3` of benchmarks/intervals.py; in t3, photographs also differ in their
scale, so that a few of them lie far off. The effects of a photograph on its real and on its fake
images are the same ("common"), or independent ("own"). The intervals are over photographs, and
for comparison over images, as if each were drawn by itself.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import multiprocessing
import zlib
from typing import NamedTuple

import numpy as np

from benchmarks.intervals import CONFIDENCE, Logits, jackknife_interval, shift_of
from benchmarks.timing import print_table
from genspot.evaluation.clusters import cluster_contributions
from genspot.evaluation.intervals import Term, mean_interval

WINDOWS = 15  # images of each class from one photograph
POPULATIONS = ("normal", "t3")
EFFECTS = ("own", "common")
SHARES = (0.2, 0.5, 0.8)  # of the variance of the logits, by the photographs
PHOTOGRAPHS = (10, 14, 20)
APS = {  # of each generator that the mean is over; they share the photographs
    "0.50": (0.5,),
    "0.80": (0.8,),
    "0.95": (0.95,),
    "0.99": (0.99,),
    "7 of 0.60–0.99": (0.99, 0.95, 0.9, 0.9, 0.8, 0.7, 0.6),
}


class Cell(NamedTuple):
    """One cell of the table: sets of `photographs` for each of the generators with `APS`."""

    population: str
    effects: str
    share: float
    photographs: int
    name: str


class Cover(NamedTuple):
    """How often intervals missed the true AP, and how wide they were."""

    above: float  # fraction of the intervals that lie above it
    below: float
    width: float  # mean


def draw_sets(cell: Cell, rng: np.random.Generator) -> list[Logits]:
    """Return the logits (photographs, `WINDOWS`) of the real and fake images of each generator."""
    count = cell.photographs
    effects = np.sqrt(cell.share) * rng.normal(size=(2, count, 1))
    scales = np.ones((2, count, 1))
    if cell.population == "t3":
        scales = np.sqrt(3 / rng.chisquare(3, (2, count, 1)))
    if cell.effects == "common":
        effects[1], scales[1] = effects[0], scales[0]

    def draw(label: int) -> np.ndarray:
        of_images = np.sqrt(1 - cell.share) * rng.normal(size=(count, WINDOWS))
        return scales[label] * (effects[label] + of_images)

    reals = draw(0)
    return [(reals, draw(1) + shift_of(cell.population, ap, 0.5)) for ap in APS[cell.name]]


def cluster_interval(sets: list[Logits]) -> list[float]:
    """Return the interval over photographs that genspot reports of the mean AP of `sets`."""
    terms = []
    for logits in map(np.stack, sets):
        labels, photographs, _ = np.indices(logits.shape)
        found = cluster_contributions(labels.ravel(), logits.ravel(), photographs.ravel())
        terms.append(Term("shared", np.arange(logits.shape[1]), found))
    return mean_interval(terms, CONFIDENCE)


def image_interval(sets: list[Logits]) -> list[float]:
    """Return the interval over images of the mean AP of `sets`."""
    return jackknife_interval([(reals.ravel(), fakes.ravel()) for reals, fakes in sets], True)


METHODS = {"photographs": cluster_interval, "images": image_interval}


def simulate(cell: Cell, count: int, seed: int) -> dict[str, Cover]:
    """Return how the intervals of each method cover the true mean AP, in `count` draws."""
    rng = np.random.default_rng((seed, zlib.crc32(repr(cell).encode())))
    truth = float(np.mean(APS[cell.name]))
    drawn = [draw_sets(cell, rng) for _ in range(count)]
    covers = {}
    for method, interval in METHODS.items():
        low, high = np.array([interval(sets) for sets in drawn]).T
        found = (low > truth).mean(), (high < truth).mean(), (high - low).mean()
        covers[method] = Cover(*map(float, found))
    return covers


def format_covers(covers: dict[str, Cover]) -> str:
    """Return "inside (above, below) width; inside width over images", in percent and points."""
    above, below, width = (100 * value for value in covers["photographs"])
    inside = 100 - above - below
    images = covers["images"]
    of_images = 100 * (1 - images.above - images.below)
    return (
        f"{inside:.1f} ({above:.1f}, {below:.1f}) {width:.0f}; "
        f"{of_images:.0f}, {100 * images.width:.0f}"
    )


def main() -> None:
    """Simulate every cell and print how often the intervals hold the true AP."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="draws of each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args()
    lines = list(itertools.product(POPULATIONS, EFFECTS, SHARES, PHOTOGRAPHS))
    cells = [Cell(*line, name) for line in lines for name in APS]
    run = functools.partial(simulate, count=options.count, seed=options.seed)
    with multiprocessing.Pool(options.workers) as pool:
        found = dict(zip(cells, pool.map(run, cells, chunksize=1), strict=True))
    title = "percent inside (above, below), mean width in points; the same over images"
    rows = [
        (*map(str, line), *(format_covers(found[Cell(*line, name)]) for name in APS))
        for line in lines
    ]
    print_table(title, ("population", "effects", "share", "photographs", *APS), rows)


if __name__ == "__main__":
    main()
