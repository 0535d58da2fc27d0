"""Trainings that differ only in their seed, summarised by one interval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genspot.evaluation.bootstrap import ap_over_seeds
from genspot.evaluation.results import result_rows
from genspot.report.runs import Run, numbered_if_equal, same_images, varying_choices

CAPTION = (
    "AP over the trainings that differ only in their seed, in percent, with intervals: each "
    "bootstrap replicate resamples trainings and images. With few trainings the interval is too "
    "narrow: k trainings show (k − 1)/k of the variance."
)


@dataclass(frozen=True)
class SeedGroup:
    """The trainings that share every choice but the seed.

    Attributes:
        choice: what distinguishes the group from the other runs of the report.
        runs: one per training, in the order of their seeds.
        results: by generator (with images of both classes) and "mean": "ap" and "ap_interval" as
            fractions, and "images".
    """

    choice: str
    runs: list[Run]
    results: dict[str, dict[str, Any]]

    @property
    def label(self) -> str:
        """The choice and the number of trainings."""
        return f"{self.choice} over {len(self.runs)} seeds"

    @property
    def seeds(self) -> str:
        """The seeds of the trainings, separated by spaces."""
        return " ".join(str(_seed(run)) for run in self.runs)


def over_seeds(runs: Sequence[Run]) -> list[SeedGroup]:
    """Return each of `seed_groups` with its AP and interval over trainings and images."""
    groups = seed_groups(runs)
    keys = [key for key in varying_choices(runs) if key != "seed"] or ["data"]
    choices = [", ".join(group[0].choices[key] for key in keys) for group in groups]
    return [
        SeedGroup(choice, group, _results(group))
        for choice, group in zip(numbered_if_equal(choices), groups, strict=True)
    ]


def seed_groups(runs: Sequence[Run]) -> list[list[Run]]:
    """Return groups of two or more trainings that differ only in their seed.

    The runs of a group scored the same images. A checkpoint counts once. Two checkpoints with
    one seed must differ in a setting that metrics.json does not hold, such as the learning rate;
    runs like these form no group.
    """
    groups_by_choice: dict[str, list[list[Run]]] = {}
    for run in runs:
        if _seed(run) is None or not run.complete_generators:
            continue
        groups = groups_by_choice.setdefault(_all_but_seed(run), [])
        group = next((group for group in groups if same_images(group[0], run)), None)
        if group is None:
            groups.append([run])
        elif all(_checkpoint(run) != _checkpoint(other) for other in group):
            group.append(run)
    return [
        sorted(group, key=lambda run: _seed(run) or 0)
        for groups in groups_by_choice.values()
        for group in groups
        if 1 < len(group) == len({_seed(run) for run in group})
    ]


def _seed(run: Run) -> int | None:
    """Return the seed of the training; None for published checkpoints, which do not name it."""
    seed: int | None = run.metrics["trained_on"].get("seed")
    return seed


def _all_but_seed(run: Run) -> str:
    trained_on = {key: value for key, value in run.metrics["trained_on"].items() if key != "seed"}
    choices = [trained_on, run.choices["crop"], run.choices["degradations"]]
    return json.dumps(choices, sort_keys=True)


def _checkpoint(run: Run) -> Path:
    return Path(run.metrics["checkpoint"]).absolute()


def _results(group: Sequence[Run]) -> dict[str, dict[str, Any]]:
    first = group[0]
    found = ap_over_seeds([run.scores for run in group], first.bootstrap, first.real_sets)
    return {
        name: {"ap": result["ap"], "ap_interval": result["interval"], "images": result["images"]}
        for name, result in result_rows(found)
    }
