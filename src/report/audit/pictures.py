"""What tells the classes of a set apart, as histograms and as pictures of typical images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata

from genspot.evaluation.shortcut_traits import read_values
from genspot.evaluation.shortcuts import ALL, Trait
from genspot.report.audit.findings import Audit, AuditedSet
from genspot.report.examples import Views, load_views
from genspot.report.figures import HISTOGRAM_BINS, STYLES, svg

MAX_INLINE_CHARS = 3_000_000  # of pictures on one page
MAX_VALUES = 6  # of a column of words, most frequent first; the others are joined
OTHERS, NOTHING = "others", "none"
TITLES = {
    "stored as": "file format (kind of pixels)",
    "size": "width × height in pixels",
    "width": "width in pixels",
    "height": "height in pixels",
    "aspect": "width divided by height",
    "bits per pixel": "size of the file in bits per pixel",
    "jpeg_quality": "JPEG quality of the file",
    "jpeg_tables": "JPEG quantization tables (digest)",
    "subsampling": "chroma subsampling",
    "progressive": "progressive JPEG (1) or not (0)",
    "metadata": "metadata",
    "software": "software named in the file",
    "red_mean": "mean of red (0 to 255)",
    "green_mean": "mean of green (0 to 255)",
    "blue_mean": "mean of blue (0 to 255)",
    "red_std": "standard deviation of red",
    "green_std": "standard deviation of green",
    "blue_std": "standard deviation of blue",
    "saturation": "mean saturation (0 to 1)",
    "chroma": "strongest colours (distance from grey)",
    "dark_share": "share of values that are 0",
    "bright_share": "share of values that are 255",
    "gradient": "energy of the gradient (log₁₀)",
    "laplacian": "energy of the Laplacian (log₁₀)",
    "high_frequency": "share of high frequencies (log₁₀)",
    "fine detail": "energy of the Laplacian relative to the gradient (log₁₀)",
    "finest detail": "high frequencies relative to the Laplacian (log₁₀)",
    "grid": "blocks of a JPEG compression in the pixels (1) or not (0)",
    "grid_quality": "JPEG quality that the blocks tell of",
    "grid_x": "column where the JPEG blocks begin",
    "grid_y": "row where the JPEG blocks begin",
}
SCORE = "probability of being a fake, by all traits together"


class TypicalImage(NamedTuple):
    """A typical image of its kind."""

    kind: str  # "real" or "fake"
    value: str  # that makes it typical
    path: str
    views: Views


@dataclass(frozen=True)
class TraitPanel:
    """One trait of one set on the page."""

    trait: Trait
    axis: str  # what the histogram counts
    histogram: Markup
    images: Sequence[TypicalImage]


class Budget:
    """What pictures may still take on the page, in characters."""

    def __init__(self) -> None:
        self.left = MAX_INLINE_CHARS

    def load(self, path: str) -> Views:
        """Return the pictures of an image, or a note in their place."""
        if self.left <= 0:
            return Views(None, None, (0, 0), "omitted to limit the page size")
        views = load_views(path)
        self.left -= len(views.whole or "") + len(views.detail or "")
        return views


def trait_panels(audit: Audit, one: AuditedSet, name: str, budget: Budget) -> list[TraitPanel]:
    """Return the traits of a set that are not judged "none".

    Args:
        audit: with the probes.
        one: the set.
        name: unique in the page; the names of figures begin with it.
        budget: of the pictures.
    """
    if not one.faults:
        return []
    labels = audit.labels[one.rows]
    values = read_values(audit.probes.take(pa.array(one.rows)))
    found = []
    for number, trait in enumerate(one.faults):
        axis, column = _column_of(trait, values, labels)
        parts = [column[labels == label] for label in (0, 1)]
        draw: Any = _draw_words if column.dtype == object else _draw_numbers
        alt = f"{axis} of {one.reals} real images and {one.fakes} fakes: {trait.text}"
        histogram = svg(f"{name}-{number}", alt, draw, *parts, axis)
        images = [
            _typical_image(audit, one.rows[labels == label], parts[label], label, budget)
            for label in (0, 1)
        ]
        found.append(TraitPanel(trait, axis, histogram, images))
    return found


def _column_of(
    trait: Trait, values: Mapping[str, np.ndarray], labels: np.ndarray
) -> tuple[str, np.ndarray]:
    """Return title and values of the column of `trait` that differs most between the classes.

    Values are numbers, with NaN where there is none, or texts as objects.
    """
    if trait.name == ALL:
        return SCORE, trait.scores
    name = max(trait.columns, key=lambda name: _difference(values[name], labels))
    column = values[name]
    if column.dtype == object:
        column = np.array([text or NOTHING for text in column], object)
    return TITLES.get(name, name), column


def _difference(values: np.ndarray, labels: np.ndarray) -> float:
    """Return how far the distributions of both classes are apart, 0 to 1.

    Of texts the total variation; of numbers the difference of the mean ranks, divided by its
    maximum, as in the sentences of `genspot.evaluation.shortcut_traits`.
    """
    if values.dtype != object:
        ranks = rankdata(np.where(np.isnan(values), -np.inf, values))
        real, fake = (ranks[labels == label].mean() for label in (0, 1))
        return float(2 * abs(fake - real) / len(values))
    counts = [Counter(values[labels == label].tolist()) for label in (0, 1)]
    shares = [{word: one[word] / one.total() for word in counts[0] | counts[1]} for one in counts]
    return sum(abs(shares[0][word] - share) for word, share in shares[1].items()) / 2


def _typical_image(
    audit: Audit, rows: np.ndarray, values: np.ndarray, label: int, budget: Budget
) -> TypicalImage:
    """Return the first image with the most frequent word, or the one with the median number."""
    if values.dtype == object:
        word = Counter(values.tolist()).most_common(1)[0][0]
        place, value = int(np.flatnonzero(values == word)[0]), str(word)
    else:
        place = int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])  # NaN is last
        value = NOTHING if np.isnan(values[place]) else f"{values[place]:.4g}"
    path = audit.paths[int(rows[place])].as_py()
    return TypicalImage(("real", "fake")[label], value, path, budget.load(path))


def _draw_numbers(axes: Axes, reals: np.ndarray, fakes: np.ndarray, axis: str) -> None:
    """Draw the values of both classes, each as percent of its class."""
    _set_size(axes, 2.3)
    present = np.concatenate([reals, fakes])
    present = present[np.isfinite(present)]
    bins = min(HISTOGRAM_BINS, int(2 * np.sqrt(len(present))))
    edges = np.histogram_bin_edges(present, bins)
    missing = []
    for kind, values, (colour, dash, _) in zip(
        ("real", "fake"), (reals, fakes), STYLES, strict=False
    ):
        known = values[np.isfinite(values)]
        if share := 1 - len(known) / len(values):
            missing.append(f"{kind} {share:.0%}")
        weights = np.full(len(known), 100 / len(values))
        style: dict[str, Any] = {"histtype": "stepfilled", "lw": 1.4, "ls": dash, "label": kind}
        axes.hist(known, edges.tolist(), weights=weights, color=f"{colour}55", ec=colour, **style)
    label = f"{axis}; without a value: {', '.join(missing)}" if missing else axis
    axes.set(xlabel=label, ylabel="percent of its class")
    axes.legend(frameon=False)


def _draw_words(axes: Axes, reals: np.ndarray, fakes: np.ndarray, axis: str) -> None:
    """Draw the share of the most frequent words in each class as bars."""
    counts = [Counter(values.tolist()) for values in (reals, fakes)]
    shares = [{word: one[word] / one.total() for word in counts[0] | counts[1]} for one in counts]
    words = sorted(shares[0], key=lambda word: (-shares[0][word] - shares[1][word], word))
    shown = words if len(words) <= MAX_VALUES else [*words[: MAX_VALUES - 1], OTHERS]
    _set_size(axes, 0.9 + 0.5 * len(shown))
    for kind, share, shift, (colour, dash, _) in zip(
        ("real", "fake"), shares, (-0.2, 0.2), STYLES, strict=False
    ):
        heights = [100 * share.get(word, 0) for word in shown]
        if shown[-1] == OTHERS:
            heights[-1] = 100 - sum(heights[:-1])
        places = np.arange(len(shown)) + shift
        axes.barh(places, heights, 0.36, color=f"{colour}55", ec=colour, ls=dash, label=kind)
    axes.set_yticks(range(len(shown)), [word[:24] for word in shown])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(0, 100), xlabel=f"{axis}, percent of its class")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.02, 1, 0.2), ncols=2)


def _set_size(axes: Axes, height: float) -> None:
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(4.6, height)
