"""How often confidence intervals hold the true average precision, by simulation.

    python -m benchmarks.intervals --workers 14

Sets of images are drawn from populations whose AP is known, and each method gives its interval.
`jackknife` is what genspot reports; `percentile` and `bca` are bootstraps (Efron & Tibshirani,
"An Introduction to the Bootstrap", 1993, chapters 13 and 14) for comparison. The populations:

- normal: real and fake logits are normal with one variance
- wide, narrow: the standard deviation of the fakes is 2 and 1/2 times that of the reals
- exponential: exponential logits of two scales
- laplace, t3: with heavy tails on both sides (t3: Student's t with three degrees of freedom)
"""

from __future__ import annotations

import argparse
import csv
import functools
import itertools
import multiprocessing
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from benchmarks.timing import print_table
from genspot.evaluation.intervals import Term, mean_interval
from genspot.evaluation.jackknife import contributions

Logits = tuple[np.ndarray, np.ndarray]  # of real and of fake images
Population = tuple[Any, Callable[[float], Any]]  # reals, and fakes by their shift
POPULATIONS: dict[str, Population] = {
    "normal": (stats.norm(), lambda shift: stats.norm(shift)),
    "wide": (stats.norm(), lambda shift: stats.norm(shift, 2)),
    "narrow": (stats.norm(), lambda shift: stats.norm(shift, 0.5)),
    "exponential": (stats.expon(), lambda shift: stats.expon(scale=np.exp(shift))),
    "laplace": (stats.laplace(), lambda shift: stats.laplace(shift)),
    "t3": (stats.t(3), lambda shift: stats.t(3, shift)),
}
SIZES = ((20, 20), (50, 50), (200, 200), (20, 200), (200, 20))  # real and fake images of a set
APS = (0.5, 0.6, 0.8, 0.9, 0.95, 0.99)
MEANS = {  # AP of each generator that the mean is over
    "3 × 0.80": [0.8] * 3,
    "3 × 0.99": [0.99] * 3,
    "0.60, 0.90, 0.99": [0.6, 0.9, 0.99],
    "13 × 0.60": [0.6] * 13,
    "13 × 0.99": [0.99] * 13,
    "13 of 0.60–0.99": [0.99] * 5 + [0.95] * 3 + [0.8] * 3 + [0.6] * 2,
}
CONFIDENCE = 0.95
REPLICATES = 1000
METHODS = ("jackknife", "percentile", "bca")


class Cell(NamedTuple):
    """One line of the table: sets of `sizes` images for each of the generators with `aps`."""

    name: str
    population: str
    sizes: tuple[int, int]
    aps: tuple[float, ...]
    shared: bool  # the generators share their real images


class Cover(NamedTuple):
    """How often the interval of a method missed, and how wide it was."""

    above: float  # fraction of the intervals that lie above the true AP
    below: float
    width: float  # mean


def cells(populations: Iterable[str], sizes: Iterable[tuple[int, int]]) -> list[Cell]:
    """Return the single sets with an AP not below chance, and the means over generators."""
    found = []
    for population, (reals, fakes) in itertools.product(populations, sizes):
        for ap in APS:
            shift = shift_of(population, ap, fakes / (reals + fakes))
            if shift >= -1e-3:
                found.append(Cell(f"{ap:.2f}", population, (reals, fakes), (ap,), False))
        if reals == fakes and reals != 50:
            found += [
                Cell(name, population, (reals, fakes), tuple(aps), shared)
                for name, aps in MEANS.items()
                for shared in (False, True)
                if population != "wide"  # an AP of 0.6 is below chance there
            ]
    return found


def true_ap(population: str, shift: float, ratio: float) -> float:
    """Return the AP of infinitely many images of which the fraction `ratio` is fake."""
    reals, fakes = POPULATIONS[population]
    grid = np.linspace(-18, 18, 1001)  # logits of the recall: fine at both ends
    recall = 1 / (1 + np.exp(-grid))
    weights = recall * (1 - recall)
    above = reals.sf(fakes(shift).isf(recall))
    precision = ratio * recall / (ratio * recall + (1 - ratio) * above)
    return float((weights * precision).sum() / weights.sum())


@functools.cache
def shift_of(population: str, ap: float, ratio: float) -> float:
    """Return the shift of the fakes at which `true_ap` is `ap`; -inf if there is none."""
    lowest = -8.0

    def excess(shift: float) -> float:
        return true_ap(population, shift, ratio) - ap

    return float(brentq(excess, lowest, 60.0)) if excess(lowest) < 0 else -np.inf


def draw_sets(cell: Cell, fakes: Mapping[float, Any], rng: np.random.Generator) -> list[Logits]:
    """Return the logits of the images of each generator; `fakes` has the population of each AP."""
    reals, _ = POPULATIONS[cell.population]
    shared = reals.rvs(cell.sizes[0], random_state=rng)
    return [
        (
            shared if cell.shared else reals.rvs(cell.sizes[0], random_state=rng),
            fakes[ap].rvs(cell.sizes[1], random_state=rng),
        )
        for ap in cell.aps
    ]


def jackknife_interval(sets: list[Logits], shared: bool) -> list[float]:
    """Return the interval that genspot reports of the mean AP of `sets`."""
    terms = []
    for number, (reals, fakes) in enumerate(sets):
        labels = np.repeat([0, 1], [len(reals), len(fakes)])
        contributed = contributions(labels, np.concatenate([reals, fakes]))
        pool = "shared" if shared else str(number)
        terms.append(Term(pool, np.arange(len(reals)), contributed))
    return mean_interval(terms, CONFIDENCE)


def bootstrap_intervals(
    sets: list[Logits], shared: bool, rng: np.random.Generator
) -> dict[str, list[float]]:
    """Return the percentile and the BCa interval of the mean AP of `sets`."""
    means, estimate = np.zeros(REPLICATES), 0.0
    jackknives: list[np.ndarray] = []  # what the jackknife says of each draw
    real_counts = None
    for reals, fakes in sets:
        order = np.argsort(-np.concatenate([reals, fakes]))
        fake = order >= len(reals)
        if real_counts is None or not shared:
            real_counts = _draw_counts(len(reals), rng)
        counts = np.concatenate([real_counts, _draw_counts(len(fakes), rng)], axis=1)[:, order]
        means += _weighted_ap(counts, fake) / len(sets)
        estimate += _weighted_ap(np.ones((1, len(order))), fake)[0] / len(sets)
        labels = np.repeat([0, 1], [len(reals), len(fakes)])
        contributed = contributions(labels, np.concatenate([reals, fakes]))
        if shared and jackknives:
            jackknives[0] = jackknives[0] + contributed.reals
            jackknives.append(contributed.fakes)
        else:
            jackknives += [contributed.reals, contributed.fakes]
    tails = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    moved = -np.concatenate(jackknives)
    acceleration = (moved**3).sum() / max(1e-300, 6 * (moved**2).sum() ** 1.5)
    below = ((means < estimate).mean() + (means <= estimate).mean()) / 2
    bias = stats.norm.ppf(np.clip(below, 0.5 / REPLICATES, 1 - 0.5 / REPLICATES))
    moved_tails = bias + stats.norm.ppf(tails)
    corrected = stats.norm.cdf(bias + moved_tails / (1 - acceleration * moved_tails))
    return {
        "percentile": np.quantile(means, tails).tolist(),
        "bca": np.quantile(means, corrected).tolist(),
    }


def _draw_counts(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each of `size` images occurs in each of `REPLICATES` resamples."""
    draws = rng.integers(size, size=(REPLICATES, size))
    draws += np.arange(REPLICATES)[:, None] * size
    counts = np.bincount(draws.ravel(), minlength=REPLICATES * size)
    return counts.reshape(REPLICATES, size).astype(np.float64)


def _weighted_ap(counts: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Return the AP of each row of `counts`; the images are sorted, the highest logit first."""
    selected = counts.cumsum(axis=1)
    fakes = (counts * fake).cumsum(axis=1)
    precision = fakes / np.maximum(selected, 1)
    return (counts * fake * precision).sum(axis=1) / fakes[:, -1]


def simulate(task: tuple[Cell, int, int, tuple[str, ...]]) -> dict[str, Cover]:
    """Return how each method covers the true mean AP of a cell, in `count` draws of its sets."""
    cell, count, seed, methods = task
    rng = np.random.default_rng((seed, zlib.crc32(repr(cell).encode())))
    ratio = cell.sizes[1] / sum(cell.sizes)
    fake_of = POPULATIONS[cell.population][1]
    fakes = {ap: fake_of(shift_of(cell.population, ap, ratio)) for ap in cell.aps}
    truth = float(np.mean(cell.aps))
    found: dict[str, list[list[float]]] = {method: [] for method in methods}
    for _ in range(count):
        sets = draw_sets(cell, fakes, rng)
        intervals = {"jackknife": jackknife_interval(sets, cell.shared)}
        if set(methods) - {"jackknife"}:
            intervals |= bootstrap_intervals(sets, cell.shared, rng)
        for method in methods:
            found[method].append(intervals[method])
    result = {}
    for method, intervals in found.items():
        low, high = np.array(intervals).T
        covers = (low > truth).mean(), (high < truth).mean(), (high - low).mean()
        result[method] = Cover(*map(float, covers))
    return result


def print_covers(title: str, covers: Mapping[Cell, Cover]) -> None:
    """Print a line for each population and size, a column for each AP: inside (above, below)."""
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for cell, cover in covers.items():
        line = cell.population, "{} + {}".format(*cell.sizes), "shared" if cell.shared else "own"
        inside = 1 - cover.above - cover.below
        figures = (f"{100 * value:.1f}" for value in (inside, cover.above, cover.below))
        lines.setdefault(line, {})[cell.name] = "{} ({}, {})".format(*figures)
    names = list(dict.fromkeys(cell.name for cell in covers))
    rows = [(*line, *(found.get(name, "") for name in names)) for line, found in lines.items()]
    print_table(title, ("population", "real + fake", "reals", *names), rows)


def write_csv(path: str, results: Mapping[Cell, Mapping[str, Cover]]) -> None:
    """Write all figures, as fractions."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*Cell._fields, "method", *Cover._fields])
        for cell, covers in results.items():
            writer.writerows([*cell, method, *cover] for method, cover in covers.items())


def main() -> None:
    """Simulate every cell and print how often each method's intervals hold the true AP."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="draws of each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["jackknife"])
    parser.add_argument("--populations", nargs="+", choices=POPULATIONS, default=[*POPULATIONS])
    parser.add_argument("--csv", help="file for all figures")
    options = parser.parse_args()
    tasks = [
        (cell, options.count, options.seed, tuple(options.methods))
        for cell in cells(options.populations, SIZES)
    ]
    tasks.sort(key=lambda task: -len(task[0].aps) * sum(task[0].sizes))  # the longest first
    with multiprocessing.Pool(options.workers) as pool:
        found = dict(
            zip([task[0] for task in tasks], pool.map(simulate, tasks, chunksize=1), strict=True)
        )
    results = {cell: found[cell] for cell in cells(options.populations, SIZES)}
    if options.csv:
        write_csv(options.csv, results)
    for method in options.methods:
        for what, means in (("one set", False), ("mean over sets", True)):
            covers = {
                cell: covers[method]
                for cell, covers in results.items()
                if (len(cell.aps) > 1) == means
            }
            print_covers(f"{method}, {what}: percent inside (above, below the AP)", covers)


if __name__ == "__main__":
    main()
