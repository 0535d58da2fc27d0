"""AP against the strength of a degradation of the test images."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

from genspot.report import figures
from genspot.report.curves import Panels
from genspot.report.runs import Run, generator_names
from genspot.report.tables import format_percent

AXES = {"blur": "blur, σ in pixels", "jpeg": "JPEG quality", "resize": "resize, scale"}
LEGEND = [(figures.STYLES[0][0], "this generator"), (figures.GREY, "mean of the generators")]


def robustness_sections(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return name, curves and chains of each of `degradation_groups`.

    The curves are (axis, panels); the chains are the runs with several degradations in sequence:
    (degradations, mean AP in percent).
    """
    return [
        {
            "name": ", ".join(group[0].choices[key] for key in ("data", "aug", "model")),
            "curves": degradation_curves(group, f"robust{number}"),
            "chains": [
                (run.choices["degradations"], format_percent(run.metrics["mean"]["ap"]))
                for run in group
                if len(run.metrics["degradations"]) > 1
            ],
        }
        for number, group in enumerate(degradation_groups(runs))
    ]


def degradation_groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Return groups of runs that differ only in their degradations, at least two of these."""
    groups: dict[object, list[Run]] = {}
    for run in runs:
        choices = {**run.choices, "degradations": None}
        groups.setdefault((*choices.values(), run.checkpoint), []).append(run)
    return [
        group
        for group in groups.values()
        if len({run.choices["degradations"] for run in group}) > 1
    ]


def degradation_curves(group: Sequence[Run], name: str) -> list[tuple[str, Panels]]:
    """Return axis and panels for each kind of degradation that runs of `group` applied alone.

    The ids in the page begin with `name`.
    """
    kinds: dict[str, dict[float, Run]] = {}
    for run in group:
        match = re.fullmatch(r"([a-z]+)_([0-9.]+)", run.choices["degradations"])
        if match:
            kinds.setdefault(match[1], {})[float(match[2])] = run
    undegraded = [("none", run) for run in group if not run.metrics["degradations"]][:1]
    curves = []
    for kind, runs in kinds.items():
        values = sorted(runs, key=functools.partial(_strength, kind))
        steps = [*undegraded, *((f"{value:g}", runs[value]) for value in values)]
        if len(steps) > 1:
            axis = AXES.get(kind, kind)
            curves.append((axis, _panels(axis, steps, f"{name}-{kind}")))
    return curves


def _strength(kind: str, value: float) -> float:
    """Return a number that grows with the harm: lower JPEG quality, a scale farther from 1."""
    if kind == "jpeg":
        return -value
    return abs(math.log(value)) if kind == "resize" and value > 0 else value


def _panels(axis: str, steps: Sequence[tuple[str, Run]], name: str) -> Panels:
    """Return a panel per generator with figures, and one of the mean; `steps` are the x axis."""
    ticks, runs = zip(*steps, strict=True)
    lines = {
        generator: [run.results.get(generator, {}).get("ap") for run in runs]
        for generator in [*generator_names(runs), "mean"]
    }
    aps = [ap for line in lines.values() for ap in line if ap is not None]
    bottom = min(50, int(10 * min(aps, default=0)) * 10)
    panels, rows = [], []
    for number, (generator, line) in enumerate(lines.items()):
        if all(ap is None for ap in line):
            continue
        cells = [format_percent(ap) for ap in line]
        rows.append([generator, *cells])
        points = ", ".join(f"{tick} {cell}" for tick, cell in zip(ticks, cells, strict=True))
        alt = f"AP in percent on {generator} against {axis}: {points}."
        drawn = [line] if generator == "mean" else [line, lines["mean"]]
        draw = figures.draw_steps
        figure = figures.svg(f"{name}-{number}", alt, draw, ticks, drawn, bottom, axis)
        panels.append((generator, figure))
    return Panels(panels, LEGEND, ["generator", *ticks], rows)
