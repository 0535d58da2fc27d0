"""Precision-recall and reliability, as figures with their data beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from sklearn.metrics import precision_recall_curve

from genspot.evaluation import calibration
from genspot.report import figures
from genspot.report.console import percent
from genspot.report.robustness import Curve
from genspot.report.runs import Images, Run, generators, labels, result

POINTS = 160  # of a drawn line
RECALLS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the table
TOGETHER = len(figures.STYLES)  # runs in one panel
BINS = 15


@dataclass(frozen=True)
class Panels:
    """Small figures of one kind: their captions, what the lines are, and the data as a table."""

    figures: list[tuple[str, Markup]]
    legend: list[tuple[str, str]]  # colour, meaning
    heading: list[str]
    rows: list[list[str]]


def precision_recall(runs: Sequence[Run]) -> Panels:
    """A panel for each generator that the first `TOGETHER` runs all have, with a line for each."""
    runs, names = runs[:TOGETHER], labels(runs)[:TOGETHER]
    drawn, rows = [], []
    for number, generator in enumerate(generators(runs)):
        if any(generator not in run.complete for run in runs):
            continue
        lines = [_precision_recall(run.images[generator]) for run in runs]
        gist = []
        for name, run, line in zip(names, runs, lines, strict=True):
            cells = [percent(_precision_at(line, recall)) for recall in RECALLS]
            ap = percent(result(run, generator)["ap"])
            rows.append([generator, *([name] if len(runs) > 1 else []), ap, *cells])
            gist.append(f"{name}: AP {ap}, precision {cells[2]} at half of all fakes found")
        label = f"Precision against recall on {generator}, in percent. {'; '.join(gist)}."
        chance = float(runs[0].images[generator].labels.mean())
        thin = [_thinned(line) for line in lines]
        drawn.append((generator, figures.precision_recall(thin, chance, f"recall{number}", label)))
    heading = ["generator", *(["run"] if len(runs) > 1 else []), "AP"]
    heading += [f"at recall {percent(recall)}" for recall in RECALLS]
    return Panels(drawn, _legend(names if len(runs) > 1 else []), heading, rows)


def _precision_recall(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Recall, ascending, and precision."""
    precision, recall, _ = precision_recall_curve(images.labels, images.logits)
    return recall[::-1], precision[::-1]


def _precision_at(line: tuple[np.ndarray, np.ndarray], recall: float) -> float:
    """Precision at the highest threshold that finds at least the share `recall` of the fakes."""
    return float(line[1][np.searchsorted(line[0], recall - 1e-12)])


def _thinned(line: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    count = len(line[0])
    kept = np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int))
    return line[0][kept], line[1][kept]


def reliability(runs: Sequence[Run]) -> Panels:
    """Before and, where a temperature was fitted, after scaling.

    A panel for each generator of a single run; for each of several runs, its generators pooled.
    """
    if len(runs) == 1:
        drawn = [(name, runs[0], [name]) for name in runs[0].complete]
    else:
        drawn = [(name, run, run.complete) for name, run in zip(labels(runs), runs, strict=True)]
    panels, rows = [], []
    for number, (caption, run, pooled) in enumerate(drawn):
        lines = _calibrated(run, pooled) if pooled else {}
        rows += [_bin(caption, word, one) for word, bins in lines.items() for one in bins]
        label = f"Share of fakes against their probability, {caption}. {_gist(run, pooled)}"
        figure = figures.reliability(list(lines.values()), f"reliability{number}", label)
        panels.append((caption, figure))
    words = ("before", "after") if any(run.metrics.get("fit") for run in runs) else ("before",)
    legend = [f"{word} temperature scaling" for word in words]
    heading = ["generator" if len(runs) == 1 else "run", "temperature", "probabilities"]
    return Panels(panels, _legend(legend), [*heading, "images", "mean probability", "fakes"], rows)


def _calibrated(run: Run, pooled: list[str]) -> dict[str, list[dict[str, float]]]:
    """The bins before and after scaling, of the images of some generators together."""
    temperature = (run.metrics.get("fit") or {}).get("temperature")
    scales = {"before": 1.0} | ({"after": temperature} if temperature else {})
    truth = np.concatenate([run.images[name].labels for name in pooled])
    logits = np.concatenate([run.images[name].logits for name in pooled])
    return {
        word: calibration.reliability(truth, calibration.probabilities(logits, scale), BINS)
        for word, scale in scales.items()
    }


def _gist(run: Run, pooled: list[str]) -> str:
    one = result(run, pooled[0] if len(pooled) == 1 else "mean")
    ece = f"ECE in percent: {percent(one.get('ece'))} before temperature scaling"
    after = one.get("ece_scaled")
    return f"{ece}, {percent(after)} after." if after is not None else f"{ece}."


def _bin(caption: str, word: str, one: dict[str, Any]) -> list[str]:
    ends = f"{percent(one['low'])} – {percent(one['high'])}"
    shares = [percent(one[key]) for key in ("confidence", "frequency")]
    return [caption, word, ends, f"{one['count']:.0f}", *shares]


def robustness(curve: Curve, prefix: str) -> Panels:
    """A panel for each generator that has figures: its AP, and the mean's."""
    drawn, rows = [], []
    known = [value for line in curve.ap.values() for value in line if value is not None]
    bottom = min(50, int(10 * min(known, default=0)) * 10)
    for number, (name, line) in enumerate(curve.ap.items()):
        if all(value is None for value in line):
            continue
        cells = [percent(value) for value in line]
        rows.append([name, *cells])
        gist = ", ".join(f"{step} {cell}" for step, cell in zip(curve.steps, cells, strict=True))
        label = f"AP in percent on {name} against {curve.axis}: {gist}."
        lines = [line] if name == "mean" else [line, curve.ap["mean"]]
        figure = figures.steps(curve.steps, lines, bottom, curve.axis, f"{prefix}{number}", label)
        drawn.append((name, figure))
    legend = [(figures.STYLES[0][0], "this generator"), (figures.GREY, "mean of the generators")]
    return Panels(drawn, legend, ["generator", *curve.steps], rows)


def _legend(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(style[0], name) for style, name in zip(figures.STYLES, names, strict=False)]
