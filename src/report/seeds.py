"""Trainings that differ in their seed alone: one interval over all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genspot.evaluation import bootstrap
from genspot.report.runs import Run, differing, same_images

CAPTION = (
    "AP over the trainings that differ in their seed alone, in percent, with intervals: the "
    "replicates draw trainings and images. Few trainings make an interval too narrow: k of them "
    "spread by (k − 1)/k of the variance."
)


@dataclass(frozen=True)
class OverSeeds:
    """AP over the trainings of one choice.

    Attributes:
        choice: what tells it from the other runs of the report.
        runs: one a training, in the order of their seeds.
        results: by generator (with images of both classes) and "mean": "ap" and "ap_interval" in
            fractions, and "images".
    """

    choice: str
    runs: list[Run]
    results: dict[str, dict[str, Any]]

    @property
    def label(self) -> str:
        """The choice and how many trainings it had."""
        return f"{self.choice} over {len(self.runs)} seeds"

    @property
    def seeds(self) -> str:
        """The seeds of the trainings, with spaces between."""
        return " ".join(str(_seed(run)) for run in self.runs)


def over_seeds(runs: Sequence[Run]) -> list[OverSeeds]:
    """Each of `groups` with the interval of `bootstrap.combined`, drawn as its first run's was."""
    found = groups(runs)
    return [
        OverSeeds(choice, group, _combined(group))
        for choice, group in zip(_choices(runs, found), found, strict=True)
    ]


def groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Trainings, two or more, that differ in nothing but their seed and scored the same images.

    A checkpoint counts once. Two checkpoints of one seed differ in what no run tells, such as the
    learning rate; so they, and those like them, are no group.
    """
    alike: dict[str, list[list[Run]]] = {}
    for run in runs:
        if _seed(run) is None or not run.complete:
            continue
        kin = alike.setdefault(_all_but_seed(run), [])
        group = next((one for one in kin if same_images(one[0], run)), None)
        if group is None:
            kin.append([run])
        elif all(_checkpoint(run) != _checkpoint(one) for one in group):
            group.append(run)
    found = [group for kin in alike.values() for group in kin]
    return [
        sorted(group, key=lambda run: _seed(run) or 0)
        for group in found
        if 1 < len(group) == len({_seed(run) for run in group})
    ]


def _seed(run: Run) -> int | None:
    """Of the training; published checkpoints do not tell theirs."""
    seed: int | None = run.metrics["trained_on"].get("seed")
    return seed


def _all_but_seed(run: Run) -> str:
    trained = {
        key: value
        for key, value in run.metrics["trained_on"].items()
        if key != "seed" and value is not None  # what was not chosen, older runs do not name
    }
    return json.dumps([trained, run.choices["crop"], run.choices["degrade"]], sort_keys=True)


def _checkpoint(run: Run) -> Path:
    return Path(run.metrics["checkpoint"]).absolute()


def _choices(runs: Sequence[Run], found: Sequence[list[Run]]) -> list[str]:
    """A short name for each group, in the words of its runs' labels; all unique."""
    keys = [key for key in differing(runs) if key != "seed"] or ["data"]
    names = [", ".join(group[0].choices[key] for key in keys) for group in found]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def _combined(group: Sequence[Run]) -> dict[str, dict[str, Any]]:
    found = bootstrap.combined([run.scores for run in group], **group[0].resampling)
    results = {**found["generators"], "mean": found["mean"]}
    return {
        name: {"ap": one["ap"], "ap_interval": one["interval"], "images": one["images"]}
        for name, one in results.items()
    }
