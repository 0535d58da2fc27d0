"""Several runs side by side: heat map, bars, and differences from the first run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from genspot.evaluation.bootstrap import paired_difference
from genspot.evaluation.results import result_rows
from genspot.report import figures
from genspot.report.runs import Run, generator_names
from genspot.report.tables import ABSENT, Figures, best_ap, format_percent, format_signed

MAX_SHADE = 65  # percent of the heat map's colour at AP 100, so that text on it stays legible


def heat_map(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the rows of the heat map: per run the AP of the mean and of every generator.

    A cell has its text, its shade in percent of the colour (0 up to AP 50), and whether it is
    the best of its column.
    """
    names = ["mean", *generator_names(runs)]
    best = {name: best_ap(run.results.get(name, {}) for run in runs) for name in names}
    return [
        {
            "label": run.label,
            "cells": [_heat_cell(name, run.results.get(name, {}), best[name]) for name in names],
        }
        for run in runs
    ]


def _heat_cell(generator: str, result: Figures, best: str) -> dict[str, Any]:
    text = format_percent(result.get("ap"))
    shade = round(MAX_SHADE * max(0.0, 2 * (result.get("ap") or 0.0) - 1))
    return {"generator": generator, "text": text, "shade": shade, "best": text == best}


def mean_bars(runs: Sequence[Run]) -> Markup:
    """Return the mean AP of each run as bars with intervals."""
    labels, means = [run.label for run in runs], [run.metrics["mean"] for run in runs]
    values = (f"{run.label} {format_percent(run.metrics['mean']['ap'])}" for run in runs)
    alt = f"Mean AP in percent of each run: {'; '.join(values)}."
    aps, intervals = [mean["ap"] for mean in means], [mean.get("ap_interval") for mean in means]
    return figures.svg("bars", alt, figures.draw_bars, labels, aps, intervals)


def differences(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the label of each run but the first, and its AP minus that of the first in `cells`.

    A cell is the text, and whether the interval excludes zero; there is one for the mean, which
    needs the same generators in both runs, and one for every generator. Intervals need runs that
    are `paired`: both scored the same images.
    """
    first, names = runs[0], ["mean", *generator_names(runs)]
    found = []
    for run in runs[1:]:
        intervals, paired = {}, run.image_paths == first.image_paths
        if paired:
            # Both runs are evaluated on the same resamples: the variation of the images cancels.
            pairs = paired_difference(run.scores, first.scores, first.bootstrap, first.real_sets)
            intervals = {name: result["interval"] for name, result in result_rows(pairs)}
        cells = [_difference_cell(run, first, name, intervals.get(name)) for name in names]
        found.append({"label": run.label, "paired": paired, "cells": cells})
    return found


def _difference_cell(
    run: Run, first: Run, name: str, interval: Sequence[float] | None
) -> tuple[str, bool]:
    ap, first_ap = (one.results.get(name, {}).get("ap") for one in (run, first))
    other_generators = set(run.complete_generators) != set(first.complete_generators)
    if ap is None or first_ap is None or (name == "mean" and other_generators):
        return ABSENT, False
    text = format_signed(ap - first_ap)
    if interval is None:
        return text, False
    low, high = interval
    return f"{text} [{format_signed(low)}, {format_signed(high)}]", low > 0 or high < 0
