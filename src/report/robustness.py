"""AP against the strength of a degradation of the test images."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genspot.report.runs import CHOICES, Run, figures_of, generator_names

AXES = {"blur": "blur, σ in pixels", "jpeg": "JPEG quality", "resize": "resize, scale"}


@dataclass(frozen=True)
class DegradationCurve:
    """AP against the strength of one kind of degradation, from none to the strongest.

    Attributes:
        kind: of the degradation, such as "jpeg".
        axis: what the steps are, with the unit.
        steps: "none" if the group has an undegraded run, then the values.
        ap: by generator and "mean", one fraction (or None) per step.
    """

    kind: str
    axis: str
    steps: list[str]
    ap: dict[str, list[float | None]]


def degradation_groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Return groups of runs that differ only in their degradations, at least two of these."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        choices = [run.choices[key] for key in CHOICES if key != "degradations"]
        checkpoint = str(Path(run.metrics["checkpoint"]).absolute())
        groups.setdefault((*choices, checkpoint), []).append(run)
    return [group for group in groups.values() if len({_degradations(run) for run in group}) > 1]


def degradation_curves(group: Sequence[Run]) -> list[DegradationCurve]:
    """Return a curve for each kind of degradation that runs of `group` applied alone."""
    by_degradation = {_degradations(run): run for run in group if len(_degradations(run)) == 1}
    undegraded = [run for run in group if not _degradations(run)][:1]
    kinds: dict[str, list[tuple[float, Run]]] = {}
    for (degradation,), run in by_degradation.items():
        if match := re.fullmatch(r"([a-z]+)_([0-9.]+)", degradation):
            kinds.setdefault(match[1], []).append((float(match[2]), run))
    curves = [_curve(kind, points, undegraded) for kind, points in kinds.items()]
    return [curve for curve in curves if len(curve.steps) > 1]


def degradation_chains(group: Sequence[Run]) -> list[Run]:
    """Return the runs of `group` that applied several degradations in sequence."""
    return [run for run in group if len(_degradations(run)) > 1]


def _curve(kind: str, points: list[tuple[float, Run]], undegraded: list[Run]) -> DegradationCurve:
    points = sorted(points, key=lambda point: _strength(kind, point[0]))
    runs = [*undegraded, *(run for _, run in points)]
    steps = [*["none"] * len(undegraded), *(f"{value:g}" for value, _ in points)]
    names = [*generator_names(runs), "mean"]
    ap = {name: [figures_of(run, name).get("ap") for run in runs] for name in names}
    return DegradationCurve(kind, AXES.get(kind, kind), steps, ap)


def _strength(kind: str, value: float) -> float:
    """Return a number that grows with the harm: lower JPEG quality, a scale farther from 1."""
    if kind == "jpeg":
        return -value
    return abs(math.log(value)) if kind == "resize" and value > 0 else value


def _degradations(run: Run) -> tuple[str, ...]:
    return tuple(run.metrics["degradations"])
