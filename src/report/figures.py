"""Figures as inline SVG.

Text stays text, black takes the text colour of the page, and equal input gives equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVarTuple

import matplotlib.style
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genspot.common.text import escape as escape_controls
from genspot.report.tables import format_percent

Args = TypeVarTuple("Args")
Curve = tuple[np.ndarray, np.ndarray]  # recall in ascending order, and precision
Fractions = Sequence[float | None]

# Colour, dash and marker of each line: Okabe & Ito's blue, vermilion, green and purple, which
# colour-blind readers can distinguish, light enough for a dark page.
STYLES: tuple[tuple[str, str, str], ...] = (
    ("#2b83c6", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#009e73", "-.", "^"),
    ("#cc79a7", ":", "D"),
)
GREY = "#808080"
DOTTED: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": (0, (1, 2))}
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "genspot",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.6,
    "lines.markersize": 3.5,
    "figure.dpi": 72,
    "text.parse_math": False,  # a name may hold dollar signs
}
PANEL_SIZE = (2.25, 2.0)  # inches; several fit side by side
PERCENT_TICKS = (0, 50, 100)
HISTOGRAM_BINS = 40


def svg(name: str, alt: str, draw: Callable[[Axes, *Args], None], *args: *Args) -> Markup:
    """Return a figure as an element of a page.

    Args:
        name: unique in the page; the ids in the element begin with it.
        alt: the content in words, for screen readers.
        draw: one of the functions below, which draws `args`.
    """
    text = io.StringIO()
    # "default": the user's matplotlibrc has no effect.
    with matplotlib.style.context(["default", SETTINGS]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that matplotlib's font lacks; browsers have them
        figure = Figure(PANEL_SIZE, layout="constrained")
        axes = figure.add_subplot()
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        draw(axes, *args)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    body = text.getvalue().partition("<svg")[2].partition(">")[2]
    unused = r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
    body = re.sub(r"\n\s*", " ", re.sub(unused, "", body, flags=re.DOTALL))
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    body = body.replace("xlink:href", "href").replace("#000000", "currentColor")
    width, height = (72 * side for side in figure.get_size_inches())
    head = f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}">'
    return Markup(escape_controls((head + body).strip(), kept="\n\t"))


def draw_precision_recall(axes: Axes, lines: Sequence[Curve], chance: float) -> None:
    """Draw each (recall, precision), in fractions, and a dotted line at precision `chance`."""
    for (recall, precision), (colour, dash, _) in zip(lines, STYLES, strict=False):
        axes.plot(100 * recall, 100 * precision, color=colour, ls=dash, drawstyle="steps-post")
    axes.axhline(100 * chance, **DOTTED)
    _percent_axes(axes, "recall", "precision")


def draw_reliability(axes: Axes, lines: Sequence[list[dict[str, float]]]) -> None:
    """Draw the frequency of fakes against the confidence, a line for each list of bins."""
    axes.plot(PERCENT_TICKS, PERCENT_TICKS, **DOTTED)
    for bins, (colour, dash, marker) in zip(lines, STYLES, strict=False):
        confidence = [100 * entry["confidence"] for entry in bins]
        frequency = [100 * entry["frequency"] for entry in bins]
        axes.plot(confidence, frequency, color=colour, ls=dash, marker=marker)
    _percent_axes(axes, "probability", "fakes")


def _percent_axes(axes: Axes, horizontal: str, vertical: str) -> None:
    axes.set(xlim=(-2, 102), ylim=(-2, 102), xticks=PERCENT_TICKS, yticks=PERCENT_TICKS)
    axes.set(xlabel=horizontal, ylabel=vertical)


def draw_steps(
    axes: Axes,
    ticks: Sequence[str],
    lines: Sequence[Fractions],
    bottom: int,
    axis: str,
    measure: str,
) -> None:
    """Draw a measure, from `bottom` percent, at evenly spaced steps; a second line is grey."""
    for line, (colour, dash, marker) in zip(lines, (STYLES[0], (GREY, "--", "")), strict=False):
        values = [np.nan if value is None else 100 * value for value in line]
        axes.plot(values, color=colour, ls=dash, marker=marker)
    axes.set(ylim=(bottom, 103), xlabel=axis, ylabel=measure)
    axes.set_yticks([bottom, (bottom + 100) / 2, 100])
    axes.set_xticks(range(len(ticks)), ticks)
    axes.margins(x=0.08)


def draw_bars(
    axes: Axes,
    labels: Sequence[str],
    values: Fractions,
    intervals: Sequence[list[float] | None],
    axis: str = "mean AP",
    chances: Sequence[float] = (),
) -> None:
    """Draw bars from 0 to 100 with intervals; the label is above its bar to fit on a phone.

    A dotted line crosses each bar at its value of `chances`, if there are any.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(5.4, 0.55 + 0.52 * len(labels))
    for row, (text, value, ends) in enumerate(zip(labels, values, intervals, strict=True)):
        axes.barh(row, 100 * (value or 0), height=0.42, color=STYLES[0][0])
        if ends:
            percents = [100 * end for end in ends]
            axes.plot(percents, [row, row], color="black", lw=1.4, marker="|", ms=7)
        axes.text(0, row - 0.28, text, va="bottom", ha="left")
        axes.text(101, row, format_percent(value), va="center", ha="left", weight="bold")
    for row, chance in enumerate(chances):
        axes.plot([100 * chance] * 2, [row - 0.3, row + 0.3], color="black", lw=1.2, ls=":")
    axes.set(xlim=(0, 110), ylim=(len(labels) - 0.6, -0.9), yticks=[], xlabel=axis)
    axes.set_xticks(range(0, 101, 20))
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def draw_histograms(axes: Axes, reals: np.ndarray, fakes: np.ndarray) -> None:
    """Draw the logits of real and of fake images, each as percent of its kind, and logit 0."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.set_size_inches(5.4, 2.7)
    logits = np.concatenate([reals, fakes])
    edges = np.histogram_bin_edges(logits, HISTOGRAM_BINS)
    for kind, label, (colour, dash, _) in zip(
        (reals, fakes), ("real", "fake"), STYLES, strict=False
    ):
        weights = np.full(len(kind), 100 / len(kind))
        drawn: dict[str, Any] = {"histtype": "stepfilled", "weights": weights, "lw": 1.4}
        axes.hist(
            kind, edges.tolist(), color=f"{colour}55", ec=colour, ls=dash, label=label, **drawn
        )
    margin = max(0.2 * float(np.ptp(logits)), 0.5)  # both sides of the threshold are shown
    axes.set_xlim(min(edges[0], -margin), max(edges[-1], margin))
    axes.axvline(0, color="black", lw=1.2)
    for text, side, shift in (("← called real", "right", -4), ("called fake →", "left", 4)):
        at: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": side}
        axes.annotate(text, (0, 1), xytext=(shift, 3), textcoords="offset points", **at)
    axes.set(xlabel="logit", ylabel="percent of its kind")
    axes.legend(frameon=False, loc="upper left")
