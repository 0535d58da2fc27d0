"""Test sets of real images alone or of fakes alone: what share of them is called fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from genspot.evaluation.results import FAKES_ONLY, REALS_ONLY
from genspot.evaluation.shares import differ
from genspot.report import figures
from genspot.report.runs import Run
from genspot.report.tables import ABSENT, format_estimate, format_percent, format_signed

MAX_NAMED = 3  # sets of a kind that a sentence names
KINDS = {REALS_ONLY: ("real images", "fpr"), FAKES_ONLY: ("fakes", "tpr")}
CAPTION = (
    "Images called fake (probability above 0.5) in the sets of one class, in percent with "
    "interval: false alarms among real images, and fakes that are found."
)


class Called(NamedTuple):
    """The share of the images of a set of one class that is called fake."""

    name: str
    kind: str  # "real images" or "fakes"
    share: float
    figures: Mapping[str, Any]  # of the set
    text: str  # share in percent with interval


def called(metrics: Mapping[str, Any]) -> list[Called]:
    """Return the share of each set of one class, in the order of the sets."""
    found = []
    for name, one in metrics["generators"].items():
        if one["status"] in KINDS:
            kind, rate = KINDS[one["status"]]
            found.append(Called(name, kind, one[rate], one, format_estimate(one, rate)))
    return found


def one_class_sets(runs: Sequence[Run]) -> list[str]:
    """Return the sets that have images of one class only in a run, in order of appearance."""
    return list(dict.fromkeys(one.name for run in runs for one in called(run.metrics)))


def lines(runs: Sequence[Run]) -> dict[str, list[float | None]]:
    """Return each set of one class with its share in each run; None where it has no such set."""
    found = [{one.name: one.share for one in called(run.metrics)} for run in runs]
    return {name: [shares.get(name) for shares in found] for name in one_class_sets(runs)}


def sentence(metrics: Mapping[str, Any]) -> str:
    """Return the shares of all sets of one class in a sentence; "" without such sets."""
    found, parts = called(metrics), []
    for kind, _ in KINDS.values():
        of_kind = [one for one in found if one.kind == kind]
        if len(of_kind) > MAX_NAMED:
            low, high = (pick(of_kind, key=lambda one: one.share) for pick in (min, max))
            span = _span((low.share, low.name), (high.share, high.name), "each")
            parts.append(f"{span} of the {kind} of {len(of_kind)} sets")
        else:
            parts += [
                f"{format_percent(one.share)}% {one.text.partition(' ')[2]} of "
                f"{one.figures['images']} {kind} ({one.name})"
                for one in of_kind
            ]
    return f"Called fake: {', '.join(parts)}." if parts else ""


def ranges(runs: Sequence[Run]) -> str:
    """Return the lowest and the highest share that runs have on the first sets of one class."""
    parts = []
    for name in one_class_sets(runs)[:MAX_NAMED]:
        found = [
            (one, run.label) for run in runs for one in called(run.metrics) if one.name == name
        ]
        ends = [pick(found, key=lambda pair: pair[0].share) for pick in (min, max)]
        each = "each run" if found[1:] else found[0][1]
        low, high = ((one.share, label) for one, label in ends)
        span = _span(low, high, each)
        parts.append(f"{span} of the {found[0][0].kind} of {name}")
    return f"Called fake: {'; '.join(parts)}." if parts else ""


def _span(low: tuple[float, str], high: tuple[float, str], each: str) -> str:
    """Return two shares with what they are of; with `each` if they are shown alike."""
    first, last = format_percent(low[0]), format_percent(high[0])
    if first == last:
        return f"{first}% ({each})"
    return f"{first}% ({low[1]}) to {last}% ({high[1]})"


def bars(found: Sequence[Called]) -> Markup | None:
    """Return the shares as bars with intervals; None without any."""
    if not found:
        return None
    labels = [f"{one.name}: {one.kind}" for one in found]
    intervals = [one.figures[f"{KINDS[one.figures['status']][1]}_interval"] for one in found]
    values = "; ".join(f"{label} {one.text}" for label, one in zip(labels, found, strict=True))
    alt, axis = f"Images called fake, in percent, of each set: {values}.", "called fake"
    shares = [one.share for one in found]
    return figures.svg("called-bars", alt, figures.draw_bars, labels, shares, intervals, axis)


def compare(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Return a row for each run: its label, and a cell for each of `one_class_sets`.

    A cell is the share with its interval and, in parentheses, the difference from the first run;
    and whether the two shares differ by the test of McNemar. There is no test where the runs
    scored other images of the set, nor where several images come from one photograph.
    """
    names = one_class_sets(runs)
    return [(run.label, [_cell(run, runs[0], name) for name in names]) for run in runs]


def _cell(run: Run, first: Run, name: str) -> tuple[str, bool]:
    shares = [{one.name: one for one in called(each.metrics)}.get(name) for each in (run, first)]
    own, other = shares
    if own is None:
        return ABSENT, False
    if run is first or other is None or own.kind != other.kind:
        return own.text, False
    text = f"{own.text} ({format_signed(own.share - other.share)})"
    logits = [
        dict(zip(each.images[name].paths, each.images[name].logits, strict=True))
        for each in (run, first)
    ]
    if logits[0].keys() != logits[1].keys() or own.figures.get("clusters"):
        return text, False
    judged = [np.array([one[path] > 0 for path in logits[0]]) for one in logits]
    return text, differ(judged[0], judged[1], first.metrics["confidence"])
