"""Finished runs as their folders hold them, and what tells them apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from genspot.common.errors import GenspotError

CHOICES = ("data", "aug", "model", "crop", "seed", "degrade")  # in the order of a label

NEEDED = {"generators", "mean", "checkpoint", "trained_on", "bootstrap", "seed", "crop"}
COLUMNS = {"path", "generator", "class", "label", "logit"}


@dataclass(frozen=True)
class Images:
    """The scored images of one generator, one entry an image."""

    paths: list[str]
    labels: np.ndarray  # 0 real, 1 fake
    logits: np.ndarray  # float64


@dataclass(frozen=True)
class Run:
    """One finished run: its folder, metrics.json, config.yaml and scores.parquet."""

    folder: Path
    metrics: dict[str, Any]
    config: str
    scores: pa.Table

    @cached_property
    def images(self) -> dict[str, Images]:
        """The scored images by generator, in the order of scores.parquet."""
        names = np.asarray(self.scores["generator"].cast(pa.string()).to_pylist(), object)
        paths = np.asarray(self.scores["path"].to_pylist(), object)
        labels = self.scores["label"].to_numpy().astype(np.int64)
        logits = self.scores["logit"].to_numpy().astype(np.float64)
        return {
            name: Images(list(paths[mine]), labels[mine], logits[mine])
            for name in self.metrics["generators"]
            for mine in [names == name]
        }

    @property
    def complete(self) -> list[str]:
        """The generators with images of both classes."""
        generators = self.metrics["generators"]
        return [name for name, one in generators.items() if one["ap"] is not None]

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen for this run, in words, by `CHOICES`."""
        trained, crop = self.metrics["trained_on"], self.metrics.get("crop")
        seed = trained.get("seed")
        return {
            "data": training_set(trained),
            "aug": trained.get("aug") or "augmentation unknown",
            "model": str(trained["model"]["name"]),
            "crop": "whole images" if crop is None else f"crop {crop}",
            "seed": f"seed {self.metrics.get('seed') if seed is None else seed}",
            "degrade": " then ".join(self.metrics.get("degrade") or ["undegraded"]),
        }

    @property
    def resampling(self) -> dict[str, Any]:
        """How its intervals were drawn, as arguments of `bootstrap.paired` and `combined`."""
        return {
            "real_sets": self.metrics.get("real_sets") or {},
            "replicates": self.metrics["bootstrap"]["replicates"],
            "seed": self.metrics["seed"],
            "confidence": self.metrics["bootstrap"]["confidence"],
        }

    @property
    def own_checkpoint(self) -> bool:
        """Whether this run trained what it tested."""
        return Path(self.metrics["checkpoint"]).parent.name == self.folder.name


def training_set(trained: dict[str, Any]) -> str:
    """The name of what was trained on, and how many of its classes where they were drawn."""
    name, drawn = str(trained.get("data")), trained.get("subset")
    if drawn is None:
        return name
    return f"{name}, {drawn} {'class' if drawn == 1 else 'classes'} drawn"


def read(folder: Path) -> Run:
    """The finished run in `folder`.

    Raises:
        GenspotError: it holds none, or files that cannot be read.
    """
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        config = (folder / "config.yaml").read_text(encoding="utf-8")
        scores = pyarrow.parquet.read_table(folder / "scores.parquet")
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else "scores.parquet"
        raise GenspotError(
            f"{folder} holds no finished run: {missing} is missing; name folders of finished runs"
        ) from error
    except (OSError, ValueError) as error:
        raise GenspotError(f"{folder} cannot be reported: {error}; run it anew") from error
    known = metrics.keys() if isinstance(metrics, dict) else set()
    if lacking := sorted((NEEDED - known) | (COLUMNS - set(scores.column_names))):
        raise GenspotError(f"{folder} cannot be reported: no {lacking[0]} there; run it anew")
    return Run(folder, metrics, config, scores)


def differing(runs: Sequence[Run]) -> list[str]:
    """The choices in which `runs` differ."""
    return [key for key in CHOICES if len({run.choices[key] for run in runs}) > 1]


def labels(runs: Sequence[Run]) -> list[str]:
    """A short name for each run: what differs between them, or else where they lie; all unique."""
    if len(runs) == 1:
        return [runs[0].folder.name]
    keys = differing(runs)
    names = [", ".join(run.choices[key] for key in keys) for run in runs]
    if len(set(names)) < len(names):
        names = [_joined(name, _place(run)) for name, run in zip(names, runs, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def _joined(name: str, place: str) -> str:
    return f"{name}, {place}" if name else place


def _place(run: Run) -> str:
    """The folder of a run that trained; else the checkpoint that it tested."""
    checkpoint = Path(run.metrics["checkpoint"])
    return run.folder.name if run.own_checkpoint else f"{checkpoint.parent.name}/{checkpoint.name}"


def generators(runs: Sequence[Run]) -> list[str]:
    """The generators of all runs, in the order in which they first come."""
    return list(dict.fromkeys(name for run in runs for name in run.metrics["generators"]))


def result(run: Run, generator: str) -> dict[str, Any]:
    """The figures of one generator, or of "mean"; empty where the run did not test on it."""
    if generator == "mean":
        return run.metrics["mean"]
    return run.metrics["generators"].get(generator, {})


def same_images(one: Run, other: Run) -> bool:
    """Whether two runs scored the same images of the same generators."""
    return one.images.keys() == other.images.keys() and all(
        sorted(one.images[name].paths) == sorted(other.images[name].paths) for name in one.images
    )
