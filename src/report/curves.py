"""Panels of precision-recall and reliability curves, with their data as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from sklearn.metrics import precision_recall_curve

from genspot.evaluation import calibration
from genspot.report import figures
from genspot.report.runs import GeneratorScores, Run, generator_names
from genspot.report.tables import Figures, format_percent

MAX_POINTS = 160  # of a drawn line
TABLE_RECALLS = (0.1, 0.3, 0.5, 0.7, 0.9)
MAX_RUNS = len(figures.STYLES)  # in one panel
BINS = 15


class Panels(NamedTuple):
    """Small figures of one kind."""

    figures: list[tuple[str, Markup]]  # caption and SVG
    legend: list[tuple[str, str]]  # colour and meaning of each line
    heading: list[str]  # of the table of the same data
    rows: list[list[str]]  # of that table


def precision_recall(images: GeneratorScores, points: int | None = None) -> figures.Curve:
    """Return the precision-recall curve of a generator with images of both classes.

    Args:
        images: of the generator.
        points: at most so many, evenly spaced among those of the curve, both ends included.

    Returns:
        Recall in ascending order, and precision, both in [0, 1].
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
        alt = f"Fraction of fakes against probability, {caption}. {_describe_ece(result)}"
        draw, bins = figures.draw_reliability, list(lines.values())
        panels.append((caption, figures.svg(f"reliability{number}", alt, draw, bins)))
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
    low, high, *fractions = (
        format_percent(entry[key]) for key in ("low", "high", "confidence", "frequency")
    )
    return [caption, stage, f"{low} – {high}", f"{entry['count']:.0f}", *fractions]


def _legend(meanings: Sequence[str]) -> list[tuple[str, str]]:
    return [(style[0], meaning) for style, meaning in zip(figures.STYLES, meanings, strict=False)]
