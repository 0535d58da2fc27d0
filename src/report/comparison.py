"""Several runs: side by side, as differences from the first, and pooled over training seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from genspot.evaluation.intervals import ap_over_seeds, paired_difference
from genspot.evaluation.means import of_generators
from genspot.evaluation.results import MEAN_ROWS, result_rows
from genspot.report import figures
from genspot.report.runs import (
    Run,
    generator_names,
    mean_names,
    number_if_equal,
    varying_choices,
)
from genspot.report.tables import format_percent, format_signed

MAX_SHADE = 65  # percent of the heat map's colour at AP 100, so that text on it stays legible
SEEDS_CAPTION = (
    "AP over the trainings that differ only in their seed, in percent, with intervals "
    "over trainings and test images, or the photographs that these come from. With few trainings "
    "they are wide."
)


def best_aps(runs: Sequence[Run | SeedGroup], names: Sequence[str]) -> dict[str, str]:
    """Return the highest AP by name, as it is shown: equal texts are equally good.

    It is "" for means over other generators in some of the runs.
    """
    best = {}
    for name in names:
        if len({_generators_of_mean(run, name) for run in runs}) > 1:
            best[name] = ""
            continue
        aps = [run.results.get(name, {}).get("ap") for run in runs]
        shown = [format_percent(ap) for ap in aps if ap is not None]
        best[name] = max(shown, key=float, default="")
    return best


def _generators_of_mean(run: Run | SeedGroup, row: str) -> frozenset[str]:
    """Return the generators of the mean of seen or unseen ones; none for other rows."""
    groups = run.groups if isinstance(run, Run) else run.runs[0].groups
    return frozenset(*(names for key, names in groups.items() if MEAN_ROWS[key] == row))


def heat_shade(ap: float | None) -> int:
    """Return the shade of an AP in the heat map, in percent of the colour: 0 up to AP 50."""
    return round(MAX_SHADE * max(0.0, 2 * (ap or 0.0) - 1))


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
    first, names = runs[0], [*mean_names(runs), *generator_names(runs, one_class=False)]
    found = []
    for run in runs[1:]:
        cells = [
            (one.text, one.excludes_zero) for one in ap_differences(run, first, names).values()
        ]
        paired = run.image_paths == first.image_paths
        found.append({"label": run.label, "paired": paired, "cells": cells})
    return found


class Difference(NamedTuple):
    """An AP minus another, as a fraction, with its paired interval; None where there is none."""

    value: float | None
    interval: tuple[float, float] | None

    @property
    def text(self) -> str:
        """The difference in percentage points, with its sign and its interval."""
        if self.interval is None:
            return format_signed(self.value)
        return f"{format_signed(self.value)} [{', '.join(map(format_signed, self.interval))}]"

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval excludes zero as its ends are shown."""
        low, high = self.interval or (0, 0)
        return round(low, 3) > 0 or round(high, 3) < 0


def ap_differences(run: Run, first: Run, names: Sequence[str]) -> dict[str, Difference]:
    """Return the AP of `run` minus that of `first` for each generator and mean of `names`."""
    intervals = {}
    if run.image_paths == first.image_paths:
        # The variation of the images, and of their photographs, cancels out.
        confidence, shared = first.metrics["confidence"], (first.real_sets, first.clusters)
        pairs = paired_difference(run.scores, first.scores, confidence, *shared)
        intervals = {name: result["interval"] for name, result in result_rows(pairs)}
        for row in mean_names([run, first]):
            if common := _generators_of_mean(run, row) & _generators_of_mean(first, row):
                own, of_first = (of_generators(one.scores, common) for one in (run, first))
                pairs = paired_difference(own, of_first, confidence, *shared)
                intervals[row] = pairs["mean"]["interval"]
    return {name: _difference(run, first, name, intervals.get(name)) for name in names}


def _difference(run: Run, first: Run, name: str, interval: Sequence[float] | None) -> Difference:
    ap, first_ap = (each.results.get(name, {}).get("ap") for each in (run, first))
    other_generators = _generators_of_mean(run, name) != _generators_of_mean(first, name)
    if name == "mean":
        other_generators = set(run.complete_generators) != set(first.complete_generators)
    if ap is None or first_ap is None or other_generators:
        return Difference(None, None)
    value = ap - first_ap
    if interval is None:
        return Difference(value, None)
    return Difference(value, (min(interval[0], value), max(interval[1], value)))  # APs are float32


@dataclass(frozen=True)
class SeedGroup:
    """The trainings that share every choice but the seed."""

    choice: str  # what distinguishes the group from the other runs of the report
    runs: list[Run]  # one per training, in the order of their seeds
    # By generator (with images of both classes) and "mean": "ap" and "ap_interval" as fractions,
    # and "images".
    results: dict[str, dict[str, Any]]

    @property
    def label(self) -> str:
        """The choice and the number of trainings."""
        return f"{self.choice} over {len(self.runs)} seeds"


def over_seeds(runs: Sequence[Run]) -> list[SeedGroup]:
    """Return each of `seed_groups` with its AP and interval, as `SEEDS_CAPTION` describes them."""
    groups = seed_groups(runs)
    keys = [key for key in varying_choices(runs) if key != "seed"] or ["data"]
    choices = [", ".join(group[0].choices[key] for key in keys) for group in groups]
    summaries = []
    for choice, group in zip(number_if_equal(choices), groups, strict=True):
        first = group[0]
        confidence = first.metrics["confidence"]
        scores, shared = [run.scores for run in group], (first.real_sets, first.clusters)
        pooled = ap_over_seeds(scores, confidence, *shared)
        results = dict(result_rows(pooled))
        for key, names in first.groups.items():
            if MEAN_ROWS[key] in first.results:
                parts = [of_generators(table, names) for table in scores]
                results[MEAN_ROWS[key]] = ap_over_seeds(parts, confidence, *shared)["mean"]
        for result in results.values():
            result["ap_interval"] = result.pop("interval")
        summaries.append(SeedGroup(choice, group, results))
    return summaries


def seed_groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Return groups of two or more trainings that differ only in their seed.

    The runs of a group scored the same images. A checkpoint counts once. Two checkpoints with
    one seed must differ in a setting that metrics.json does not hold, such as the learning rate;
    runs like these form no group.
    """
    groups: dict[object, dict[Path, Run]] = {}
    for run in runs:
        if run.training_seed is not None and run.complete_generators:
            groups.setdefault(_all_but_seed(run), {}).setdefault(run.checkpoint, run)
    return [
        sorted(group.values(), key=lambda run: run.training_seed or 0)
        for group in groups.values()
        if 1 < len(group) == len({run.training_seed for run in group.values()})
    ]


def _all_but_seed(run: Run) -> object:
    trained_on = {key: value for key, value in run.metrics["trained_on"].items() if key != "seed"}
    settings = json.dumps(trained_on, sort_keys=True)
    return (
        settings,
        *(run.choices[key] for key in ("data", "crop", "degradations", "protocol")),
        run.image_paths,
    )
