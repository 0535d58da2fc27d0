"""Runs that differ in the degradation of their test images, as curves."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genspot.report.runs import CHOICES, Run, generators, result

AXES = {"blur": "blur, σ in pixels", "jpeg": "JPEG quality", "resize": "resize, scale"}


@dataclass(frozen=True)
class Curve:
    """AP against the strength of one degradation, from none to the strongest."""

    kind: str
    axis: str
    steps: list[str]  # "none", then the settings
    ap: dict[str, list[float | None]]  # by generator and "mean", one a step


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that differ in nothing but `degrade`, where there are at least two degradations."""
    alike: dict[Any, list[Run]] = {}
    for run in runs:
        key = [run.choices[key] for key in CHOICES if key != "degrade"]
        alike.setdefault((*key, Path(run.metrics["checkpoint"]).absolute()), []).append(run)
    return [group for group in alike.values() if len({_words(run) for run in group}) > 1]


def curves(group: Sequence[Run]) -> list[Curve]:
    """A curve for each kind of degradation that `group` applied alone."""
    alone = {words[0]: run for run in group if len(words := _words(run)) == 1}
    plain = [run for run in group if not _words(run)][:1]
    kinds: dict[str, list[tuple[float, Run]]] = {}
    for word, run in alone.items():
        if found := re.fullmatch(r"([a-z]+)_([0-9.]+)", word):
            kinds.setdefault(found[1], []).append((float(found[2]), run))
    drawn = [_curve(kind, points, plain) for kind, points in kinds.items()]
    return [curve for curve in drawn if len(curve.steps) > 1]


def chains(group: Sequence[Run]) -> list[Run]:
    """The runs of `group` that degraded their images more than once."""
    return [run for run in group if len(_words(run)) > 1]


def _curve(kind: str, points: list[tuple[float, Run]], plain: list[Run]) -> Curve:
    points = sorted(points, key=lambda point: _strength(kind, point[0]))
    runs = [*plain, *(run for _, run in points)]
    names = [*generators(runs), "mean"]
    return Curve(
        kind,
        AXES.get(kind, kind),
        [*["none"] * len(plain), *(f"{value:g}" for value, _ in points)],
        {name: [result(run, name).get("ap") for run in runs] for name in names},
    )


def _strength(kind: str, value: float) -> float:
    """Grows with the harm: down with a JPEG's quality, with a scale's distance from 1."""
    if kind == "jpeg":
        return -value
    return abs(math.log(value)) if kind == "resize" and value > 0 else value


def _words(run: Run) -> tuple[str, ...]:
    return tuple(run.metrics.get("degrade") or ())
