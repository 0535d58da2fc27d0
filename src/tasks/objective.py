"""The objective of a run: the figure that a sweeper which optimises settings is handed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.files import read_json
from genspot.common.names import shown
from genspot.common.run_files import METRICS
from genspot.evaluation.results import MEAN_ROWS, MEASURES, result_rows
from genspot.report.tables import RATES
from genspot.tasks.generators import generator_specs
from genspot.tasks.schema import plain

VALIDATION = "val"
VALIDATION_FIGURES = ("ap", "acc", "loss")
LOWER_IS_BETTER = (
    *("loss", "ece", "ece_calibrated", "brier", "log_loss"),
    *("fpr", "fpr_val_threshold"),
)


def split_objective(objective: str) -> tuple[str, str]:
    """Return the measure of an objective and what it is of: "ap" and "val" of "val/ap".

    Raises:
        GenspotError: no run has such a figure.
    """
    first, _, second = str(objective).partition("/")
    if first == VALIDATION and second in VALIDATION_FIGURES:
        return second, VALIDATION
    if first in (*MEASURES, *RATES) and second:
        return first, second
    raise GenspotError(
        f"objective={shown(objective)}: give val/ap, val/acc or val/loss of a training, or a "
        f"figure of the test such as ap/mean or ap/GENERATOR; measures: "
        f"{', '.join((*MEASURES, *RATES))}"
    )


def check_objective(cfg: DictConfig) -> None:
    """Check that a run of `cfg` will have its objective.

    Raises:
        GenspotError: it will not.
    """
    objective, task = plain(cfg, "objective"), cfg.task.name
    if objective is None:
        return
    _, of = split_objective(objective)
    if of == VALIDATION and task != "train":
        raise GenspotError(
            f"objective={objective} is of a training: task={task} has figures such as ap/mean"
        )
    if task not in ("train", "test"):
        raise GenspotError(f"objective={objective}: task={task} has no figures; leave it out")
    known = [spec["name"] for spec in generator_specs(cfg).values()]
    if of != VALIDATION and of not in (*known, *MEAN_ROWS.values()):
        raise GenspotError(
            f"objective={objective}: no {of} is tested; there are: {', '.join(['mean', *known])}"
        )


def check_direction(objective: str | None, direction: Any) -> None:
    """Check that a sweeper looks for the best value of `objective` and not for the worst.

    Args:
        objective: of each run.
        direction: the sweeper's: "minimize", "maximize", or several of them.

    Raises:
        GenspotError: another direction, several ones, or no objective.
    """
    if objective is None:
        raise GenspotError("this sweeper needs an objective: objective=ap/mean, or another figure")
    measure, _ = split_objective(objective)
    expected = "minimize" if measure in LOWER_IS_BETTER else "maximize"
    found = getattr(direction, "name", direction)  # a text, or an entry of Optuna's enumeration
    if found != expected:
        raise GenspotError(
            f"objective={objective} needs hydra.sweeper.direction={expected}, not {shown(found)}"
        )


def read_objective(objective: str, folder: Path) -> float:
    """Return the objective of the finished run in `folder`.

    Raises:
        GenspotError: it has none: no results, or the figure is not defined.
    """
    measure, of = split_objective(objective)
    try:
        metrics: Mapping[str, Any] = read_json(folder / METRICS)
    except (OSError, ValueError) as error:
        raise GenspotError(f"{folder} has no results: {error}") from error
    rows = {VALIDATION: metrics.get("validation") or {}, **dict(result_rows(metrics))}
    value = rows.get(of, {}).get(measure)
    if value is None or not math.isfinite(value):
        raise GenspotError(f"{folder}: objective={objective} is not defined there")
    return float(value)
