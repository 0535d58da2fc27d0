"""Differences of several runs to the first, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genspot.evaluation.bootstrap import paired_difference
from genspot.evaluation.results import result_rows
from genspot.report.formats import ABSENT, format_signed
from genspot.report.runs import Run, figures_of, generator_names, run_labels, same_images


@dataclass(frozen=True)
class Difference:
    """AP of a run minus that of the first.

    Attributes:
        label: of the run.
        paired: whether both scored the same images, which a paired bootstrap needs.
        cells: of the mean and of every generator: text, and whether the interval excludes zero.
    """

    label: str
    paired: bool
    cells: list[tuple[str, bool]]


def differences(runs: Sequence[Run]) -> list[Difference]:
    """Return the differences of every run but the first to the first run.

    The means are compared only if both runs have them over the same generators.
    """
    first, names = runs[0], ["mean", *generator_names(runs)]
    found = []
    for run, label in zip(runs[1:], run_labels(runs)[1:], strict=True):
        paired = same_images(run, first)
        intervals = _intervals(run, first) if paired else {}
        cells = [_cell(run, first, name, intervals.get(name)) for name in names]
        found.append(Difference(label, paired, cells))
    return found


def _intervals(run: Run, first: Run) -> Mapping[str, Any]:
    """Return the interval of the difference by generator and "mean"."""
    # Both runs are evaluated on the same resamples, so the variation of the images cancels.
    found = paired_difference(run.scores, first.scores, first.bootstrap, first.real_sets)
    return {name: result["interval"] for name, result in result_rows(found)}


def _cell(run: Run, first: Run, name: str, interval: Sequence[float] | None) -> tuple[str, bool]:
    ap, first_ap = figures_of(run, name).get("ap"), figures_of(first, name).get("ap")
    other_generators = set(run.complete_generators) != set(first.complete_generators)
    if ap is None or first_ap is None or (name == "mean" and other_generators):
        return ABSENT, False
    text = format_signed(ap - first_ap)
    if interval is None:
        return text, False
    low, high = interval
    return f"{text} [{format_signed(low)}, {format_signed(high)}]", low > 0 or high < 0
