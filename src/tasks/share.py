"""Share a detector as a model of the Hugging Face Hub, with a card made from its test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.files import read_json, write_json, write_text
from genspot.common.run_files import CONFIG, METRICS
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.metadata import VERSION, Metadata
from genspot.report.console import print_path
from genspot.report.model_card import render_model_card
from genspot.report.run_reader import read_run
from genspot.report.runs import Run
from genspot.report.training_facts import without_folder
from genspot.runtime.content import describe_file
from genspot.runtime.run_folder import CONTENT
from genspot.tasks.hub_models import (
    CARD,
    HUB,
    SETTINGS,
    WEIGHTS,
    check_repository_name,
    upload,
)
from genspot.tasks.schema import plain
from genspot.tasks.weights_by_name import load_named_checkpoint

# Sections of a training's settings that config.json holds.
TRAINING = ("data", "aug", "model", "schedule", "trainer", "callbacks", "seed", "protocol")


def share(cfg: DictConfig) -> None:
    """Write the files of a model repository into the run's folder, and upload them.

    Raises:
        GenspotError: no repository or checkpoint is named, there are no results of the checkpoint,
            or it cannot be uploaded; in one line.
    """
    folder, repo = Path(cfg.paths.output), check_repository_name(plain(cfg, "repo"))
    checkpoint = load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)
    run = _tested(checkpoint, plain(cfg, "runs"))
    training = _training(checkpoint)
    _shared(checkpoint, run).save(folder / WEIGHTS)
    write_json(_settings(run, training), folder / SETTINGS)
    write_text(render_model_card(run, training, repo, plain(cfg, "task.licence")), folder / CARD)
    for name in (WEIGHTS, SETTINGS, CARD):
        print_path(name, folder / name)
    page, commit, before = upload(folder, repo, plain(cfg, "task.private"))
    print_path("model", page)
    print_path("checkpoint", f"{HUB}{repo}@{commit}")
    if before:
        print_path("before", f"{HUB}{repo}@{before}")


def _tested(checkpoint: Checkpoint, runs: Any) -> Run:
    """Return the test of a checkpoint: that of its own run, or that in the folder `runs`.

    Raises:
        GenspotError: there is none, several are named, or it is of another checkpoint.
    """
    named = runs if isinstance(runs, list) else [runs]
    if len(named) > 1:
        raise GenspotError("task=share makes the card of one run: runs=FOLDER")
    folder = Path(named[0]) if named else checkpoint.path.parent
    if not (folder / METRICS).is_file():
        where = f"runs={folder}: no results" if named else f"no results beside {checkpoint.path}"
        raise GenspotError(
            f"{where} ({METRICS}), from which the model card is made: test the checkpoint, "
            "task=test checkpoint=PATH, and name the folder of that run, runs=FOLDER"
        )
    run = read_run(folder)
    if fault := _other_checkpoint(checkpoint, run):
        raise GenspotError(
            f"the results in {folder} are of another checkpoint than {checkpoint.path} ({fault}); "
            "share that one, or name the folder of a test of this one, runs=FOLDER"
        )
    return run


def _other_checkpoint(checkpoint: Checkpoint, run: Run) -> str:
    """Return why results are of another checkpoint; "" if they are not."""
    try:  # a test records the digest of its checkpoint, a training does not
        tested = read_json(run.folder / CONTENT).get("checkpoint")
    except (OSError, ValueError, AttributeError):
        tested = None
    if tested is not None:
        return "" if tested == describe_file(checkpoint.path) else "other content"
    name = run.checkpoint.name
    if name != checkpoint.path.name or not run.folder.samefile(checkpoint.path.parent):
        return name
    values = checkpoint.metadata.as_dict()
    trained_on = {key: value for key, value in values.items() if key != "version"}
    return "" if trained_on == run.metrics["trained_on"] else "of another training"


def _training(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the settings of the training that left a checkpoint; {} where they are not beside."""
    try:
        values = yaml.safe_load((checkpoint.path.parent / CONFIG).read_text(encoding="utf-8"))
        return dict(values) if values["task"]["name"] == "train" else {}
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return {}


def _shared(checkpoint: Checkpoint, run: Run) -> Checkpoint:
    """Return a checkpoint with the metadata that it was tested as, and no folder in them."""
    values = {**_without_folders(run.metrics["trained_on"]), "version": VERSION}
    metadata = Metadata.from_dict(values, run.folder / METRICS, "runs")
    if metadata.model.backbone is None or metadata.model.input is None:
        raise GenspotError(
            f"checkpoint={checkpoint.path}: model={metadata.model.name} is built by a config of "
            "your own (_target_), which no checkpoint carries: nobody else could load it"
        )
    return replace(checkpoint, metadata=metadata)


def _settings(run: Run, training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of config.json."""
    metrics = run.metrics
    test = ("crop", "degradations", "protocol", "confidence", "fit")
    found = {
        "library_name": "genspot",
        "trained_on": metrics["trained_on"],
        "training": {key: training[key] for key in TRAINING if key in training} or None,
        "test": {key: metrics[key] for key in test if key in metrics},
        "versions": metrics.get("versions"),
        "commit": metrics.get("commit"),
    }
    return dict(_without_folders(found))


def _without_folders(value: Any) -> Any:
    """Return plain values in which each absolute path is its last part."""
    if isinstance(value, dict):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    return without_folder(value) if isinstance(value, str) else value
