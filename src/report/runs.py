"""Finished runs, and the choices that distinguish them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.common import run_files
from genspot.common.errors import GenspotError
from genspot.evaluation.bootstrap import Bootstrap
from genspot.evaluation.scores import read_scores
from genspot.report.formats import Figures

CHOICES = ("data", "aug", "model", "crop", "seed", "degradations")  # in the order of a label

REQUIRED_METRICS = {"bootstrap", "checkpoint", "crop", "degradations"}
REQUIRED_METRICS |= {"generators", "mean", "seed", "trained_on"}


@dataclass(frozen=True)
class GeneratorScores:
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
    """

    folder: Path
    metrics: dict[str, Any]
    config: str
    scores: pa.Table

    @cached_property
    def images(self) -> dict[str, GeneratorScores]:
        """The scored images by generator, in the order of the table of scores."""
        generators = np.asarray(self.scores["generator"].cast(pa.string()).to_pylist(), object)
        paths = np.asarray(self.scores["path"].to_pylist(), object)
        labels = self.scores["label"].to_numpy().astype(np.int64)
        logits = self.scores["logit"].to_numpy().astype(np.float64)
        return {
            name: GeneratorScores(list(paths[mask]), labels[mask], logits[mask])
            for name in self.metrics["generators"]
            for mask in [generators == name]
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
        seed = trained.get("seed")
        return {
            "data": training_set_name(trained),
            "aug": trained.get("aug") or "augmentation unknown",
            "model": str(trained["model"]["name"]),
            "crop": "whole images" if crop is None else f"crop {crop}",
            "seed": f"seed {self.metrics['seed'] if seed is None else seed}",
            "degradations": " then ".join(self.metrics["degradations"] or ["undegraded"]),
        }

    @property
    def bootstrap(self) -> Bootstrap:
        """The settings with which the intervals of this run were computed."""
        settings = self.metrics["bootstrap"]
        return Bootstrap(settings["replicates"], settings["confidence"], self.metrics["seed"])

    @property
    def real_sets(self) -> dict[str, str]:
        """Generator → the set that its real images come from, where generators share one."""
        return dict(self.metrics.get("real_sets") or {})

    @property
    def trained_here(self) -> bool:
        """Whether this run trained the checkpoint that it tested."""
        return Path(self.metrics["checkpoint"]).parent.name == self.folder.name


def training_set_name(trained_on: Mapping[str, Any]) -> str:
    """Return the name of the training set, with the number of classes if these were sampled."""
    name, count = str(trained_on.get("data")), trained_on.get("num_classes")
    if count is None:
        return name
    return f"{name}, {count} random {'class' if count == 1 else 'classes'}"


def read_run(folder: Path) -> Run:
    """Read the finished run in `folder`.

    Raises:
        GenspotError: a file is missing, unreadable, or lacks an entry.
    """
    try:
        metrics = json.loads((folder / run_files.METRICS).read_text(encoding="utf-8"))
        config = (folder / run_files.CONFIG).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise GenspotError(
            f"{error.filename} does not exist; name folders of finished runs"
        ) from error
    except (OSError, ValueError) as error:
        raise GenspotError(f"{folder} cannot be reported: {error}; repeat the run") from error
    keys = metrics.keys() if isinstance(metrics, dict) else set()
    if missing := sorted(REQUIRED_METRICS - keys):
        raise GenspotError(
            f"{folder} cannot be reported: {run_files.METRICS} has no {missing[0]}; repeat the run"
        )
    scores = read_scores(folder)
    return Run(folder, metrics, config, scores)


def varying_choices(runs: Sequence[Run]) -> list[str]:
    """Return the choices in which `runs` differ."""
    return [key for key in CHOICES if len({run.choices[key] for run in runs}) > 1]


def run_labels(runs: Sequence[Run]) -> list[str]:
    """Return a short, unique label of each run: the choices in which the runs differ.

    Where these are not unique, the folder or checkpoint is added, and finally a number.
    """
    if len(runs) == 1:
        return [runs[0].folder.name]
    keys = varying_choices(runs)
    parts = [[run.choices[key] for key in keys] for run in runs]
    if len(set(map(tuple, parts))) < len(runs):
        parts = [[*part, _source(run)] for part, run in zip(parts, runs, strict=True)]
    return numbered_if_equal([", ".join(part) for part in parts])


def numbered_if_equal(labels: list[str]) -> list[str]:
    """Return `labels`, with a number after each if two of them are equal."""
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label} ({number})" for number, label in enumerate(labels, 1)]


def _source(run: Run) -> str:
    """Return the folder of a training, or the checkpoint of a test."""
    checkpoint = Path(run.metrics["checkpoint"])
    return run.folder.name if run.trained_here else f"{checkpoint.parent.name}/{checkpoint.name}"


def generator_names(runs: Sequence[Run]) -> list[str]:
    """Return the generators of all runs, in the order of their first appearance."""
    return list(dict.fromkeys(name for run in runs for name in run.metrics["generators"]))


def figures_of(run: Run, generator: str) -> Figures:
    """Return the figures of one generator or of "mean"; empty if the run did not test on it."""
    if generator == "mean":
        return run.metrics["mean"]
    return run.metrics["generators"].get(generator, {})


def same_images(run: Run, other: Run) -> bool:
    """Return whether two runs scored the same images of the same generators."""
    return run.images.keys() == other.images.keys() and all(
        sorted(images.paths) == sorted(other.images[name].paths)
        for name, images in run.images.items()
    )
