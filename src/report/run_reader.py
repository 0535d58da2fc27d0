"""Runs as they lie in their folders, those of older versions among them."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from genspot.common import run_files
from genspot.common.errors import GenspotError
from genspot.common.files import read_json
from genspot.evaluation.calibration import LEFT_OUT, at_bound
from genspot.evaluation.results import FAKES_ONLY, REALS_ONLY, Results, result_rows
from genspot.evaluation.scores import read_scores
from genspot.evaluation.shares import add_shares
from genspot.report.runs import Run

REQUIRED_METRICS = {"checkpoint", "confidence", "crop", "degradations"}
REQUIRED_METRICS |= {"generators", "mean", "seed", "trained_on"}


def read_run(folder: Path) -> Run:
    """Read the finished run in `folder`.

    Raises:
        GenspotError: a file is missing, unreadable, or lacks an entry.
    """
    try:
        metrics = read_json(folder / run_files.METRICS)
        config = (folder / run_files.CONFIG).read_text(encoding="utf-8")
        if fault := _fault_of_metrics(metrics):
            raise ValueError(f"{run_files.METRICS} {fault}")
    except FileNotFoundError as error:
        raise GenspotError(
            f"{error.filename} does not exist; name folders of finished runs"
        ) from error
    except (OSError, ValueError) as error:
        raise GenspotError(f"{folder} cannot be reported: {error}; repeat the run") from error
    scores = read_scores(folder)
    if fault := _fault_of_counts(metrics["generators"], scores):
        raise GenspotError(f"{folder} cannot be reported: {fault}; repeat the run")
    _add_what_is_newer(metrics, scores)
    return Run(folder, metrics, config, scores)


def _add_what_is_newer(metrics: dict[str, Any], scores: pa.Table) -> None:
    """Add what older runs did not write, and remove figures of a temperature at a bound.

    Older runs lack the shares called fake, and which class a set has.
    """
    generators = metrics["generators"]
    older = {name: one for name, one in generators.items() if "fpr" not in one}
    clusters = metrics.get("clusters") or {}
    add_shares(older, scores, metrics["confidence"], metrics.get("fit"), clusters)
    for one in older.values():
        if one["status"] == "one class only":
            one["status"] = FAKES_ONLY if one["fake"] else REALS_ONLY
    fit = metrics.get("fit")
    if fit and (temperature := fit["temperature"]) is not None and at_bound(temperature):
        fit["notes"].append(
            f"The temperature {temperature:.4g} of this run is at a bound of its search: the fit "
            f"has failed and is not used. {LEFT_OUT}"
        )
        fit["temperature"] = None
        for _, figures in result_rows(metrics):
            figures["ece_calibrated"] = None


@functools.cache  # a report reads many runs; the command line none
def _results_schema() -> TypeAdapter[Results]:
    return TypeAdapter(Results)


def _fault_of_metrics(metrics: Any) -> str | None:
    """Return the first entry that is missing or of another type than `Results` has, or None."""
    try:
        _results_schema().validate_python(metrics, strict=True)
    except ValidationError as error:
        for fault in error.errors():
            place = ".".join(map(str, fault["loc"]))
            if fault["type"] != "missing":
                return f"has a wrong value: {place}: {fault['msg']}" if place else fault["msg"]
            if len(fault["loc"]) > 1 or place in REQUIRED_METRICS:
                return f"has no {place}"
    return None if "name" in metrics["trained_on"]["model"] else "has no trained_on.model.name"


def _fault_of_counts(generators: Mapping[str, Any], scores: pa.Table) -> str | None:
    """Return the first generator with other numbers of images than are scored, or None."""
    names, labels = scores["generator"].to_pylist(), scores["label"].to_pylist()
    scored = Counter(zip(names, labels, strict=True))
    for name in dict.fromkeys([*generators, *names]):
        figures = generators.get(name, {})
        real, fake = scored[name, 0], scored[name, 1]
        if (figures.get("real", 0), figures.get("fake", 0)) != (real, fake):
            return (
                f"{run_files.SCORES} has {real} real and {fake} fake images of {name}, and "
                f"{run_files.METRICS} other numbers"
            )
        if (figures["ap"] is None) == bool(real and fake):
            return f"{run_files.METRICS} has ap={figures['ap']} for the images of {name}"
    return None
