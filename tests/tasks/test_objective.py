"""The objective of a run: which figures there are, and which direction is the good one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genspot.common.errors import GenspotError
from genspot.tasks.config import check_settings
from genspot.tasks.objective import check_direction, read_objective, split_objective
from helpers.tasks import composed

RESULTS: dict[str, Any] = {
    "generators": {"a/b": {"ap": 0.9, "acc": None, "fpr": 0.25}, "c": {"ap": 0.7}},
    "mean": {"ap": 0.8, "acc": 0.6},
    "means": {"unseen": {"ap": 0.5}},
    "validation": {"ap": 0.75, "acc": 0.625, "loss": None},
}


def write(folder: Path, **changes: Any) -> Path:
    (folder / "metrics.json").write_text(json.dumps(RESULTS | changes))
    return folder


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ("val/ap", 0.75),
        ("val/acc", 0.625),
        ("ap/mean", 0.8),
        ("acc/mean", 0.6),
        ("ap/c", 0.7),
        ("fpr/a/b", 0.25),
        ("ap/mean of unseen", 0.5),
    ],
)
def test_objective_is_the_figure_that_the_run_has(
    objective: str, value: float, tmp_path: Path
) -> None:
    assert read_objective(objective, write(tmp_path)) == value


@pytest.mark.parametrize("objective", ["acc/a/b", "val/loss", "ap/none such", "auroc/mean"])
def test_objective_that_is_not_defined_is_an_error(objective: str, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match=rf"objective={objective} is not defined there\Z"):
        read_objective(objective, write(tmp_path))


def test_objective_of_a_run_without_results_or_validation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="has no results"):
        read_objective("ap/mean", tmp_path)
    with pytest.raises(GenspotError, match="is not defined there"):
        read_objective("val/ap", write(tmp_path, validation=None))  # of an earlier version


@pytest.mark.parametrize(
    "objective", ["", "ap", "val", "val/auroc", "vall/ap", "mean/ap", "ap/", "images/mean", "5"]
)
def test_unknown_objective_ends_in_one_line(objective: str) -> None:
    with pytest.raises(GenspotError, match=r"^objective=\S*: give val/ap, [^\n]+\Z"):
        split_objective(objective)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective=vall/ap"], "objective=vall/ap: give val/ap"),
        (["objective=ap/nowhere"], "objective=ap/nowhere: no nowhere is tested; there are: mean"),
        (["task=test", "objective=val/ap"], "objective=val/ap is of a training: task=test"),
        (["task=predict", "objective=ap/mean"], "objective=ap/mean: task=predict has no figures"),
    ],
)
def test_objective_that_the_run_will_not_have_is_refused_before_it(
    overrides: list[str], message: str, tmp_path: Path
) -> None:
    with (
        composed(*overrides, folder=tmp_path) as cfg,
        pytest.raises(GenspotError, match=rf"^{message}[^\n]*\Z"),
    ):
        check_settings(cfg)


@pytest.mark.parametrize(
    ("overrides", "objective"),
    [([], "val/ap"), (["task=test"], "ap/mean"), (["task=predict"], None)]
    + [(["objective=acc/sim_nearest"], "acc/sim_nearest")],
)
def test_objective_follows_the_task_unless_it_is_named(
    overrides: list[str], objective: str | None, tmp_path: Path
) -> None:
    with composed(*overrides, folder=tmp_path) as cfg:
        check_settings(cfg)
        assert cfg.objective == objective


@pytest.mark.parametrize(
    ("objective", "direction", "message"),
    [
        ("val/ap", "minimize", "objective=val/ap needs hydra.sweeper.direction=maximize"),
        ("val/loss", "maximize", "objective=val/loss needs hydra.sweeper.direction=minimize"),
        ("fpr/mean", "maximize", "objective=fpr/mean needs hydra.sweeper.direction=minimize"),
        ("val/ap", ["maximize", "minimize"], "objective=val/ap needs .+=maximize, not"),
        (None, "maximize", "this sweeper needs an objective"),
    ],
)
def test_direction_that_looks_for_the_worst_value_is_refused(
    objective: str | None, direction: Any, message: str
) -> None:
    with pytest.raises(GenspotError, match=rf"^{message}[^\n]*\Z"):
        check_direction(objective, direction)
    for good, way in (
        ("val/ap", "maximize"),
        ("val/loss", "minimize"),
        ("ece/mean", "minimize"),
        ("log_loss/mean", "minimize"),
    ):
        check_direction(good, way)
