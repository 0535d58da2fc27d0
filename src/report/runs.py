"""Finished runs, and the choices that distinguish them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from genspot.evaluation.results import FAKES_ONLY, MEAN_ROWS, OK, REALS_ONLY, result_rows
from genspot.report import protocols

# In the order of a label.
CHOICES = ("data", "aug", "model", "crop", "seed", "degradations", "protocol")

MAX_NAMED = 3  # sets that a label names


class GeneratorScores(NamedTuple):
    """The scored images of one generator: N paths, labels (0 real, 1 fake) and float64 logits."""

    paths: list[str]
    labels: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        folder: of the run; its spectra and its name are shown.
        metrics: see `genspot.evaluation.results.Results`.
        config: the composed configuration as YAML.
        scores: the table of scores.
        label: unique in a report, see `label_runs`.
    """

    folder: Path
    metrics: dict[str, Any]
    config: str
    scores: pa.Table
    label: str = ""

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The figures by generator, and "mean" at the end."""
        return dict(result_rows(self.metrics))

    @cached_property
    def images(self) -> dict[str, GeneratorScores]:
        """The scored images by generator, in the order of the table of scores."""
        return {
            name: GeneratorScores(
                part["path"].to_pylist(),
                part["label"].to_numpy().astype(np.int64),
                part["logit"].to_numpy().astype(np.float64),
            )
            for name in self.metrics["generators"]
            for part in [self.scores.filter(pc.field("generator") == name)]
        }

    @cached_property
    def image_paths(self) -> frozenset[tuple[str, frozenset[str]]]:
        """The generators, each with the paths of its images: equal if runs scored the same."""
        return frozenset((name, frozenset(images.paths)) for name, images in self.images.items())

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The composed configuration as plain values; empty if it is no mapping."""
        try:
            values = yaml.load(self.config, yaml.CSafeLoader)
        except yaml.YAMLError:
            return {}
        return values if isinstance(values, dict) else {}

    @cached_property
    def generator_settings(self) -> dict[str, dict[str, Any]]:
        """The files of conf/generator/ in the configuration, by the names of their metrics."""
        chosen = self.settings.get("generator")
        files = chosen.items() if isinstance(chosen, dict) else ()
        return {
            str(values.get("name") or key): values
            for key, values in files
            if isinstance(values, dict)
        }

    @property
    def training_generators(self) -> frozenset[str]:
        """What made the fakes of the training sets; empty if the configuration does not say."""
        return frozenset(self._names_in_data("generator"))

    @property
    def left_out(self) -> list[str]:
        """The sets that a training on several sets has left out."""
        return self._names_in_data("hold_out")

    def _names_in_data(self, key: str) -> list[str]:
        data = self.settings.get("data")
        names = data.get(key) if isinstance(data, dict) else None
        names = names if isinstance(names, list) else [names]
        return [name for name in names if isinstance(name, str)]

    def has_seen(self, generator: str) -> bool | None:
        """Return whether the detector was trained on fakes of `generator`; None if unknown.

        Of a folder of images without a kind, nobody knows what made its fakes, unless a training
        on several sets has left it out.
        """
        if generator in self.training_generators:
            return True
        if generator in self.left_out:
            return False
        known = self.training_generators and self.generator_settings.get(generator, {}).get("kind")
        return False if known else None

    @property
    def groups(self) -> dict[str, list[str]]:
        """The generators with both classes that were "seen" in training, and the "unseen"."""
        return {
            key: [name for name in self.complete_generators if self.has_seen(name) is value]
            for key, value in (("seen", True), ("unseen", False))
        }

    @property
    def complete_generators(self) -> list[str]:
        """The generators with images of both classes."""
        generators = self.metrics["generators"]
        return [name for name, figures in generators.items() if figures["ap"] is not None]

    @property
    def choices(self) -> dict[str, str]:
        """The readable value of each of `CHOICES`."""
        trained, crop = self.metrics["trained_on"], self.metrics["crop"]
        seed = self.metrics["seed"] if self.training_seed is None else self.training_seed
        return {
            "data": training_set_name(trained) + self._without(),
            "aug": trained.get("aug") or "augmentation unknown",
            "model": str(trained["model"]["name"]),
            "crop": "whole images" if crop is None else f"crop {crop}",
            "seed": f"seed {seed}",
            "degradations": " then ".join(self.metrics["degradations"] or ["undegraded"]),
            "protocol": protocols.choice(self.metrics),
        }

    def _without(self) -> str:
        """Return which sets a training on several sets has left out, in words."""
        if not self.left_out:
            return ""
        if (until := self.settings["data"].get("until")) is not None:
            return f" until {until}"
        more = len(self.left_out) - MAX_NAMED
        names = ", ".join(self.left_out[:MAX_NAMED])
        return f" without {names}" + (f" and {more} more" if more > 0 else "")

    @property
    def training_seed(self) -> int | None:
        """The seed of the training; None for published checkpoints, which do not name it."""
        seed: int | None = self.metrics["trained_on"].get("seed")
        return seed

    @property
    def checkpoint(self) -> Path:
        """The absolute path of the tested checkpoint."""
        return Path(self.metrics["checkpoint"]).absolute()

    @property
    def real_sets(self) -> dict[str, str]:
        """Generator → the set that its real images come from, where generators share one."""
        return dict(self.metrics.get("real_sets") or {})

    @property
    def clusters(self) -> dict[str, str]:
        """Generator → the column of the scores that names the photograph of an image."""
        return dict(self.metrics.get("clusters") or {})


def training_set_name(trained_on: Mapping[str, Any]) -> str:
    """Return the name of the training set, with the number of classes if these were sampled."""
    name, count = str(trained_on.get("data")), trained_on.get("num_classes")
    if count is None:
        return name
    return f"{name}, {count} random {'class' if count == 1 else 'classes'}"


def varying_choices(runs: Sequence[Run]) -> list[str]:
    """Return the choices in which `runs` differ."""
    return [key for key in CHOICES if len({run.choices[key] for run in runs}) > 1]


def label_runs(runs: Sequence[Run]) -> list[Run]:
    """Return `runs` with short, unique labels: the choices in which they differ.

    Where these are not unique, the folder or checkpoint is added, and finally a number. The label
    of a single run is the name of its folder.
    """
    if len(runs) == 1:
        return [replace(runs[0], label=runs[0].folder.name)]
    keys = varying_choices(runs)
    parts = [tuple(run.choices[key] for key in keys) for run in runs]
    if len(set(parts)) < len(runs):
        parts = [(*part, _source(run)) for part, run in zip(parts, runs, strict=True)]
    labels = number_if_equal([", ".join(part) for part in parts])
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def number_if_equal(labels: list[str]) -> list[str]:
    """Return `labels`, with a number after each if two of them are equal."""
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label} ({number})" for number, label in enumerate(labels, 1)]


def _source(run: Run) -> str:
    """Return the folder of a run that trained its checkpoint, or else the checkpoint."""
    folder = Path(run.metrics["checkpoint"]).parent.name
    return folder if folder == run.folder.name else f"{folder}/{run.checkpoint.name}"


def generator_names(runs: Sequence[Run], one_class: bool = True) -> list[str]:
    """Return the generators of all runs, in the order of their first appearance.

    Without `one_class`, those that have images of one class only in every run are left out.
    """
    states: dict[str, set[str]] = {}
    for run in runs:
        for name, figures in run.metrics["generators"].items():
            states.setdefault(name, set()).add(figures["status"])
    return [
        name
        for name, found in states.items()
        if one_class or OK in found or not found & {REALS_ONLY, FAKES_ONLY}
    ]


def mean_names(runs: Sequence[Run]) -> list[str]:
    """Return the names of the means that any of the runs has, as `Run.results` has them."""
    return [row for row in MEAN_ROWS.values() if any(row in run.results for run in runs)]
