"""Panels of precision-recall, reliability and robustness curves, with their data as tables."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from sklearn.metrics import precision_recall_curve

from genspot.evaluation import calibration
from genspot.report import figures, shares
from genspot.report.runs import GeneratorScores, Run, generator_names
from genspot.report.tables import format_percent

MAX_POINTS = 160  # of a drawn line
TABLE_RECALLS = (0.1, 0.3, 0.5, 0.7, 0.9)
MAX_RUNS = len(figures.STYLES)  # in one panel
BINS = 15
AXES = {"blur": "blur, σ in pixels", "jpeg": "JPEG quality", "resize": "resize, scale"}


class Panels(NamedTuple):
    """Small figures of one kind."""

    figures: list[tuple[str, Markup]]  # caption and SVG
    legend: list[tuple[str, str]]  # colour and meaning of each line
    heading: list[str]  # of the table of the same data
    rows: list[list[str]]  # of that table


def precision_recall(images: GeneratorScores, points: int | None = None) -> figures.Curve:
    """Return recall in ascending order, and precision, in [0, 1], of images of both classes.

    At most `points` of the curve are kept: evenly spaced, both ends included.
    """
    precision, recall, _ = precision_recall_curve(images.labels, images.logits)
    count = len(recall)
    kept = np.linspace(0, count - 1, min(count, points or count)).round().astype(int)
    return recall[::-1][kept], precision[::-1][kept]


def precision_at(curve: figures.Curve, recall: float) -> float:
    """Return the precision at the highest threshold that reaches at least `recall`."""
    return float(curve[1][np.searchsorted(curve[0], recall - 1e-12)])


def precision_recall_panels(runs: Sequence[Run]) -> Panels:
    """Return a panel per generator, with a line for each of the first `MAX_RUNS` runs.

    Generators that one of these runs does not have completely are left out.
    """
    runs, several = runs[:MAX_RUNS], len(runs) > 1
    panels, rows = [], []
    for number, generator in enumerate(generator_names(runs)):
        if any(generator not in run.complete_generators for run in runs):
            continue
        descriptions = []
        for run in runs:
            curve = precision_recall(run.images[generator])
            cells = [format_percent(precision_at(curve, recall)) for recall in TABLE_RECALLS]
            ap = format_percent(run.results[generator]["ap"])
            rows.append([generator, *([run.label] if several else []), ap, *cells])
            descriptions.append(f"{run.label}: AP {ap}, precision {cells[2]} at recall 50")
        alt = f"Precision against recall on {generator}, in percent. {'; '.join(descriptions)}."
        lines = [precision_recall(run.images[generator], MAX_POINTS) for run in runs]
        chance, draw = runs[0].images[generator].labels.mean(), figures.draw_precision_recall
        panels.append((generator, figures.svg(f"recall{number}", alt, draw, lines, chance)))
    heading = ["generator", *(["run"] if several else []), "AP"]
    heading += [f"at recall {format_percent(recall)}" for recall in TABLE_RECALLS]
    return Panels(panels, _legend([run.label for run in runs] if several else []), heading, rows)


def reliability_panels(runs: Sequence[Run]) -> Panels:
    """Return reliability before and, if a temperature was fitted, after temperature scaling.

    A single run has a panel per generator; of several runs each has one panel, with its
    generators pooled.
    """
    if len(runs) == 1:
        generators = runs[0].complete_generators
        pools = [(name, runs[0], [name], runs[0].results[name]) for name in generators]
    else:
        pools = [(run.label, run, run.complete_generators, run.results["mean"]) for run in runs]
    panels, rows = [], []
    for number, (caption, run, generators, result) in enumerate(pools):
        lines = _reliability(run, generators) if generators else {}
        rows += [_bin_row(caption, stage, entry) for stage in lines for entry in lines[stage]]
        ece = f"ECE in percent: {format_percent(result['ece'])} before temperature scaling"
        if result["ece_calibrated"] is not None:
            ece += f", {format_percent(result['ece_calibrated'])} after"
        alt = f"Fraction of fakes against probability, {caption}. {ece}."
        draw, bins = figures.draw_reliability, list(lines.values())
        panels.append((caption, figures.svg(f"reliability{number}", alt, draw, bins)))
    stages = ("before", "after") if any(map(_temperature, runs)) else ()
    legend = _legend([f"{stage} temperature scaling" for stage in stages])
    heading = ["generator" if len(runs) == 1 else "run", "temperature scaling", "probabilities"]
    return Panels(panels, legend, [*heading, "images", "mean probability", "fakes"], rows)


def _reliability(run: Run, generators: list[str]) -> dict[str, list[dict[str, float]]]:
    """Return the bins of the pooled images before and after temperature scaling."""
    temperature = _temperature(run)
    temperatures = {"before": 1.0} | ({"after": temperature} if temperature else {})
    labels = np.concatenate([run.images[name].labels for name in generators])
    logits = np.concatenate([run.images[name].logits for name in generators])
    return {
        stage: calibration.reliability(labels, calibration.probabilities(logits, scale), BINS)
        for stage, scale in temperatures.items()
    }


def _temperature(run: Run) -> float | None:
    """Return the temperature that was fitted on the validation images, if any."""
    temperature: float | None = (run.metrics.get("fit") or {}).get("temperature")
    return temperature


def _bin_row(caption: str, stage: str, entry: dict[str, float]) -> list[str]:
    low, high, *fractions = (
        format_percent(entry[key]) for key in ("low", "high", "confidence", "frequency")
    )
    return [caption, stage, f"{low} – {high}", f"{entry['count']:.0f}", *fractions]


def _legend(meanings: Sequence[str]) -> list[tuple[str, str]]:
    return [(style[0], meaning) for style, meaning in zip(figures.STYLES, meanings, strict=False)]


def robustness_sections(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return name, curves and chains of each of `degradation_groups`.

    The curves are (axis, panels); the chains are the runs with several degradations in sequence:
    (degradations, mean AP in percent).
    """
    sections = [
        {
            "name": ", ".join(group[0].choices[key] for key in ("data", "aug", "model")),
            "curves": degradation_curves(group, f"robust{number}"),
            "chains": [
                (run.choices["degradations"], format_percent(run.metrics["mean"]["ap"]))
                for run in group
                if len(run.metrics["degradations"]) > 1 and run.complete_generators
            ],
        }
        for number, group in enumerate(degradation_groups(runs))
    ]
    return [section for section in sections if section["curves"] or section["chains"]]


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
            curves.append((axis, _robustness_panels(axis, steps, f"{name}-{kind}")))
    return curves


def _strength(kind: str, value: float) -> float:
    """Return a number that grows with the harm: lower JPEG quality, a scale farther from 1."""
    if kind == "jpeg":
        return -value
    return abs(math.log(value)) if kind == "resize" and value > 0 else value


def _robustness_panels(axis: str, steps: Sequence[tuple[str, Run]], name: str) -> Panels:
    """Return a panel per generator with figures, and one of the mean; `steps` are the x axis.

    Of a set of one class, a panel has the share that is called fake.
    """
    ticks, runs = zip(*steps, strict=True)
    lines = {
        generator: [run.results.get(generator, {}).get("ap") for run in runs]
        for generator in [*generator_names(runs), "mean"]
    }
    called = {f"{name}, called fake": line for name, line in shares.lines(runs).items()}
    aps = [ap for line in lines.values() for ap in line if ap is not None]
    bottom = min(50, int(10 * min(aps, default=0)) * 10)
    legend = [(figures.STYLES[0][0], "this generator"), (figures.GREY, "mean of the generators")]
    legend = legend if aps else []
    panels, rows = [], []
    for number, (generator, line) in enumerate((lines | called).items()):
        if all(value is None for value in line):
            continue
        cells = [format_percent(ap) for ap in line]
        rows.append([generator, *cells])
        points = ", ".join(f"{tick} {cell}" for tick, cell in zip(ticks, cells, strict=True))
        measure = "called fake" if generator in called else "AP"
        alt = f"{measure} in percent on {generator} against {axis}: {points}."
        drawn = [line] if generator in ("mean", *called) else [line, lines["mean"]]
        lowest, draw = 0 if generator in called else bottom, figures.draw_steps
        figure = figures.svg(f"{name}-{number}", alt, draw, ticks, drawn, lowest, axis, measure)
        panels.append((generator, figure))
    return Panels(panels, legend, ["generator", *ticks], rows)
