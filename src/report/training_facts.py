"""How a detector was trained, as terms and values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from genspot.report.runs import Run

NOT_RECORDED = "not recorded"
# Settings of the schedule under other names than their own.
TERMS = {
    "optimizer": "optimiser",
    "lr_scheduler": "learning-rate schedule",
    "max_epochs": "epochs, at most",
}
OMITTED = ("name", "eval_batch_size")  # of the schedule: no part of what was trained
PRECISION = ("precision", "accumulate_grad_batches", "gradient_clip_val")  # of the trainer


def training_facts(run: Run, training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return terms and values.

    Args:
        run: a test of the detector.
        training: the settings of its training, as in config.yaml; {} where they are not known.
    """
    metrics, trained_on = run.metrics, run.metrics["trained_on"]
    images, validation = metrics.get("training_images"), metrics.get("validation")
    facts = {
        "model": _model(run),
        "input": words(trained_on["model"].get("input") or {}),
        "training images": run.choices["data"],
        "prepared": _geometry(trained_on["model"].get("train") or {}),
        "augmentation": trained_on.get("aug") or NOT_RECORDED,
        "seed": NOT_RECORDED if run.training_seed is None else str(run.training_seed),
    }
    if images:
        facts["training images"] += f" ({images['real']:,} real and {images['fake']:,} fake)"
    if changed := trained_on.get("changed"):
        facts["changed settings"] = ", ".join(changed)
    facts |= _settings(training)
    if validation:
        figures = {key: validation[key] for key in ("ap", "acc")}
        facts["validation"] = ", ".join(f"{key} {100 * one:.1f}%" for key, one in figures.items())
    versions = metrics.get("versions") or {}
    facts["software of the test"] = ", ".join(map(" ".join, versions.items())) or NOT_RECORDED
    facts["genspot of the test"] = (
        f"commit {metrics['commit']}" if metrics.get("commit") else NOT_RECORDED
    )
    return [*facts.items()]


def _settings(training: Mapping[str, Any]) -> dict[str, str]:
    """Return the terms that only the settings of the training have."""
    if not training:
        return {"recipe": NOT_RECORDED}
    part = {key: training.get(key) or {} for key in ("aug", "model", "schedule", "trainer")}
    steps = (part["aug"].get("train") or {}).get("transforms") or []
    backbone = part["model"].get("backbone") or {}
    weights = part["model"].get("weights") or backbone.get("weights")
    monitored = ((training.get("callbacks") or {}).get("best") or {}).get("monitor")
    flip = part["aug"].get("flip")
    facts = {
        "horizontal flip": f"probability {words(0.5 if flip is None else flip)}",
        "initial weights": words(weights) if weights else "random",
        "kept epoch": f"that of the best {monitored}" if monitored else "the last",
    }
    if steps:
        facts["augmentation"] = f"{part['aug']['name']}: {'; '.join(map(words, steps))}"
    for key, value in part["schedule"].items():
        if key not in OMITTED and value is not None:
            facts[TERMS.get(key, key.replace("_", " "))] = words(value)
    for key in PRECISION:
        if (value := part["trainer"].get(key)) is not None:
            facts[key.replace("_", " ")] = words(value)
    return facts


def _model(run: Run) -> str:
    model, cost = run.metrics["trained_on"]["model"], run.metrics.get("network")
    text = f"{model['name']}: {words(model.get('backbone') or {})}"
    return f"{text}, {cost['parameters']:,} parameters" if cost else text


def _geometry(geometry: Mapping[str, Any]) -> str:
    """Return how training images are resized and cropped."""
    resize, crop = geometry.get("resize"), geometry.get("crop")
    texts = []
    if resize:
        sides = " × ".join(map(str, resize)) if isinstance(resize, list) else None
        texts.append(f"resized to {sides}" if sides else f"shorter side resized to {resize}")
    if crop:
        position = geometry.get("position", "random")
        texts.append(f"{position} crop of {crop} × {crop} pixels")
    return ", then ".join(texts) or "whole images"


def words(value: Any) -> str:
    """Return a setting in words; of a path its last part."""
    if isinstance(value, Mapping):
        name = str(value.get("_target_") or value.get("name") or "").rpartition(".")[2]
        hidden = ("_target_", "_partial_", "name")
        parts = [f"{key} {words(one)}" for key, one in value.items() if key not in hidden]
        inner = ", ".join(parts)
        return f"{name} ({inner})" if name and inner else name or inner or "none"
    if isinstance(value, list):
        return "[" + ", ".join(map(words, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else without_folder(str(value))


def without_folder(text: str) -> str:
    """Return the last part of an absolute path; any other text as it is."""
    return PurePath(text).name if text.startswith(("/", "~", "file:")) else text
