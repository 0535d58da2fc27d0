"""Trainings that differ only in their seed, summarised by one interval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genspot.evaluation.bootstrap import ap_over_seeds
from genspot.evaluation.results import result_rows
from genspot.report.runs import Run, number_if_equal, varying_choices

CAPTION = (
    "AP over the trainings that differ only in their seed, in percent, with intervals: each "
    "bootstrap replicate resamples trainings and images. With few trainings the interval is too "
    "narrow: k trainings show (k − 1)/k of the variance."
)


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
    """Return each of `seed_groups` with its AP and interval over trainings and images."""
    groups = seed_groups(runs)
    keys = [key for key in varying_choices(runs) if key != "seed"] or ["data"]
    choices = [", ".join(group[0].choices[key] for key in keys) for group in groups]
    return [
        SeedGroup(choice, group, _results(group))
        for choice, group in zip(number_if_equal(choices), groups, strict=True)
    ]


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
    return settings, run.choices["crop"], run.choices["degradations"], run.image_paths


def _results(group: Sequence[Run]) -> dict[str, dict[str, Any]]:
    first = group[0]
    found = ap_over_seeds([run.scores for run in group], first.bootstrap, first.real_sets)
    return {
        name: {"ap": result["ap"], "ap_interval": result["interval"], "images": result["images"]}
        for name, result in result_rows(found)
    }
