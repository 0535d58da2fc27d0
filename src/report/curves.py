"""Panels of precision-recall, reliability and robustness curves, with their data as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from genspot.evaluation import calibration
from genspot.report import figures
from genspot.report.formats import Figures, format_percent
from genspot.report.precision_recall import precision_at, precision_recall, thin
from genspot.report.robustness import DegradationCurve
from genspot.report.runs import Run, figures_of, generator_names, run_labels

MAX_POINTS = 160  # of a drawn line
TABLE_RECALLS = (0.1, 0.3, 0.5, 0.7, 0.9)
MAX_RUNS = len(figures.STYLES)  # in one panel
BINS = 15


@dataclass(frozen=True)
class Panels:
    """Small figures of one kind.

    Attributes:
        figures: caption and SVG of each.
        legend: colour and meaning of each line.
        heading: of the table of the same data.
        rows: of that table.
    """

    figures: list[tuple[str, Markup]]
    legend: list[tuple[str, str]]
    heading: list[str]
    rows: list[list[str]]


def precision_recall_panels(runs: Sequence[Run]) -> Panels:
    """Return a panel per generator, with a line for each of the first `MAX_RUNS` runs.

    Generators that one of these runs does not have completely are left out.
    """
    labels, runs = run_labels(runs)[:MAX_RUNS], runs[:MAX_RUNS]
    several = len(runs) > 1
    panels, rows = [], []
    for number, generator in enumerate(generator_names(runs)):
        if any(generator not in run.complete_generators for run in runs):
            continue
        lines = [precision_recall(run.images[generator]) for run in runs]
        descriptions = []
        for label, run, line in zip(labels, runs, lines, strict=True):
            cells = [format_percent(precision_at(line, recall)) for recall in TABLE_RECALLS]
            ap = format_percent(figures_of(run, generator)["ap"])
            rows.append([generator, *([label] if several else []), ap, *cells])
            descriptions.append(f"{label}: AP {ap}, precision {cells[2]} at recall 50")
        alt = f"Precision against recall on {generator}, in percent. {'; '.join(descriptions)}."
        chance = float(runs[0].images[generator].labels.mean())
        thinned = [thin(line, MAX_POINTS) for line in lines]
        figure = figures.precision_recall(thinned, chance, f"recall{number}", alt)
        panels.append((generator, figure))
    heading = ["generator", *(["run"] if several else []), "AP"]
    heading += [f"at recall {format_percent(recall)}" for recall in TABLE_RECALLS]
    return Panels(panels, _legend(labels if several else []), heading, rows)


def reliability_panels(runs: Sequence[Run]) -> Panels:
    """Return reliability before and, if a temperature was fitted, after temperature scaling.

    A single run has a panel per generator; of several runs each has one panel, with its
    generators pooled.
    """
    if len(runs) == 1:
        pools = [(name, runs[0], [name]) for name in runs[0].complete_generators]
    else:
        labels = run_labels(runs)
        pools = [
            (label, run, run.complete_generators) for label, run in zip(labels, runs, strict=True)
        ]
    panels, rows = [], []
    for number, (caption, run, generators) in enumerate(pools):
        lines = _reliability(run, generators) if generators else {}
        rows += [_bin_row(caption, stage, entry) for stage in lines for entry in lines[stage]]
        error = _describe_ece(figures_of(run, generators[0] if len(generators) == 1 else "mean"))
        alt = f"Fraction of fakes against probability, {caption}. {error}"
        figure = figures.reliability(list(lines.values()), f"reliability{number}", alt)
        panels.append((caption, figure))
    stages = ("before", "after") if any(run.metrics.get("fit") for run in runs) else ("before",)
    legend = _legend([f"{stage} temperature scaling" for stage in stages])
    heading = ["generator" if len(runs) == 1 else "run", "temperature scaling", "probabilities"]
    return Panels(panels, legend, [*heading, "images", "mean probability", "fakes"], rows)


def _reliability(run: Run, generators: list[str]) -> dict[str, list[dict[str, float]]]:
    """Return the bins of the pooled images before and after temperature scaling."""
    temperature = (run.metrics.get("fit") or {}).get("temperature")
    temperatures = {"before": 1.0} | ({"after": temperature} if temperature else {})
    labels = np.concatenate([run.images[name].labels for name in generators])
    logits = np.concatenate([run.images[name].logits for name in generators])
    return {
        stage: calibration.reliability(labels, calibration.probabilities(logits, scale), BINS)
        for stage, scale in temperatures.items()
    }


def _describe_ece(result: Figures) -> str:
    text = f"ECE in percent: {format_percent(result.get('ece'))} before temperature scaling"
    after = result.get("ece_calibrated")
    return f"{text}, {format_percent(after)} after." if after is not None else f"{text}."


def _bin_row(caption: str, stage: str, entry: dict[str, float]) -> list[str]:
    edges = f"{format_percent(entry['low'])} – {format_percent(entry['high'])}"
    fractions = [format_percent(entry[key]) for key in ("confidence", "frequency")]
    return [caption, stage, edges, f"{entry['count']:.0f}", *fractions]


def robustness_panels(curve: DegradationCurve, prefix: str) -> Panels:
    """Return a panel per generator with figures, and one of the mean; ids begin with `prefix`."""
    panels, rows = [], []
    values = [ap for line in curve.ap.values() for ap in line if ap is not None]
    bottom = min(50, int(10 * min(values, default=0)) * 10)
    for number, (name, line) in enumerate(curve.ap.items()):
        if all(ap is None for ap in line):
            continue
        cells = [format_percent(ap) for ap in line]
        rows.append([name, *cells])
        points = ", ".join(f"{step} {cell}" for step, cell in zip(curve.steps, cells, strict=True))
        alt = f"AP in percent on {name} against {curve.axis}: {points}."
        lines = [line] if name == "mean" else [line, curve.ap["mean"]]
        figure = figures.steps(curve.steps, lines, bottom, curve.axis, f"{prefix}{number}", alt)
        panels.append((name, figure))
    legend = [(figures.STYLES[0][0], "this generator"), (figures.GREY, "mean of the generators")]
    return Panels(panels, legend, ["generator", *curve.steps], rows)


def _legend(meanings: Sequence[str]) -> list[tuple[str, str]]:
    return [(style[0], meaning) for style, meaning in zip(figures.STYLES, meanings, strict=False)]
