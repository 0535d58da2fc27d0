"""Figures as inline SVG.

Text stays text, black takes the text colour of the page, and equal input gives equal bytes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colour, dash and marker of each line: Okabe & Ito's blue, vermilion, green and purple, which
# colour-blind readers can distinguish, light enough for a dark page.
STYLES: tuple[tuple[str, str, str], ...] = (
    ("#2b83c6", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#009e73", "-.", "^"),
    ("#cc79a7", ":", "D"),
)
GREY = "#808080"
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


def svg(figure: Figure, name: str, alt: str) -> Markup:
    """Return `figure` as an element of a page.

    Args:
        figure: drawn within `drawing_context()`.
        name: unique in the page; the ids in the element begin with it.
        alt: the content in words, for screen readers.
    """
    text = io.StringIO()
    with drawing_context(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of glyphs that matplotlib's font lacks; browsers have them
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    body = text.getvalue()
    body = body[body.index("<svg") :]
    for part in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->", r"\n\s*"):
        body = re.sub(part, " " if part == r"\n\s*" else "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    body = body.replace("xlink:href", "href").replace("#000000", "currentColor")
    width, height = (72 * side for side in figure.get_size_inches())
    head = f'<svg role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}">'
    return Markup(re.sub(r"<svg.*?>", lambda _: head, body, count=1, flags=re.DOTALL).strip())


def drawing_context() -> AbstractContextManager[None]:
    """Return a context in which figures do not depend on the user's matplotlibrc."""
    defaults: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    defaults.pop("backend")  # the user's choice for other figures stays
    return matplotlib.rc_context(defaults | SETTINGS)


def _panel(size: tuple[float, float] = PANEL_SIZE) -> tuple[Figure, Axes]:
    figure = Figure(size, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _percent_axes(axes: Axes, horizontal: str, vertical: str) -> None:
    axes.set(xlim=(-2, 102), ylim=(-2, 102), xticks=PERCENT_TICKS, yticks=PERCENT_TICKS)
    axes.set(xlabel=horizontal, ylabel=vertical)


def precision_recall(
    lines: Sequence[tuple[np.ndarray, np.ndarray]], chance: float, name: str, alt: str
) -> Markup:
    """Return a line for each (recall, precision), all fractions, and a dotted one at `chance`."""
    with drawing_context():
        figure, axes = _panel()
        for (recall, precision), (colour, dash, _) in zip(lines, STYLES, strict=False):
            steps = "steps-post"
            axes.plot(100 * recall, 100 * precision, color=colour, ls=dash, drawstyle=steps)
        axes.axhline(100 * chance, color=GREY, lw=0.8, ls=(0, (1, 2)))
        _percent_axes(axes, "recall", "precision")
    return svg(figure, name, alt)


def reliability(lines: Sequence[list[dict[str, float]]], name: str, alt: str) -> Markup:
    """Return the frequency of fakes against the confidence, a line for each list of bins."""
    with drawing_context():
        figure, axes = _panel()
        axes.plot(PERCENT_TICKS, PERCENT_TICKS, color=GREY, lw=0.8, ls=(0, (1, 2)))
        for bins, (colour, dash, marker) in zip(lines, STYLES, strict=False):
            confidence = [100 * entry["confidence"] for entry in bins]
            frequency = [100 * entry["frequency"] for entry in bins]
            axes.plot(confidence, frequency, color=colour, ls=dash, marker=marker)
        _percent_axes(axes, "probability", "fakes")
    return svg(figure, name, alt)


def steps(
    ticks: Sequence[str],
    lines: Sequence[Sequence[float | None]],
    bottom: int,
    axis: str,
    name: str,
    alt: str,
) -> Markup:
    """Return AP, from `bottom` percent, at evenly spaced steps; a second line is grey."""
    with drawing_context():
        figure, axes = _panel()
        for line, (colour, dash, marker) in zip(
            lines, (STYLES[0], (GREY, "--", "")), strict=False
        ):
            values = [np.nan if value is None else 100 * value for value in line]
            axes.plot(values, color=colour, ls=dash, marker=marker)
        axes.set(ylim=(bottom, 103), xlabel=axis, ylabel="AP")
        axes.set_yticks([bottom, (bottom + 100) / 2, 100])
        axes.set_xticks(range(len(ticks)), ticks)
        axes.margins(x=0.08)
    return svg(figure, name, alt)


def bars(
    labels: Sequence[str],
    values: Sequence[float | None],
    intervals: Sequence[Sequence[float] | None],
    name: str,
    alt: str,
) -> Markup:
    """Return bars from 0 to 100 with intervals; the label is above its bar to fit on a phone."""
    with drawing_context():
        figure, axes = _panel((5.4, 0.55 + 0.52 * len(labels)))
        for row, (text, value, ends) in enumerate(zip(labels, values, intervals, strict=True)):
            height = 100 * (value or 0)
            axes.barh(row, height, height=0.42, color=STYLES[0][0])
            if ends:
                low, high = (100 * end for end in ends)
                axes.plot([low, high], [row, row], color="black", lw=1.4, marker="|", ms=7)
            axes.text(0, row - 0.28, text, va="bottom", ha="left")
            number = "–" if value is None else f"{height:.1f}"
            axes.text(101, row, number, va="center", ha="left", weight="bold")
        axes.set(xlim=(0, 110), ylim=(len(labels) - 0.6, -0.9), yticks=[], xlabel="mean AP")
        axes.set_xticks(range(0, 101, 20))
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
    return svg(figure, name, alt)
