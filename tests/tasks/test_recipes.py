"""Recipes and studies: which of them chooses what."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.tasks.recipes import check_ablation, check_recipe
from helpers.errors import error_of
from helpers.tasks import composed


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["experiments=quickstart", "recipe=wang2020"],
            "recipe=wang2020 trains with model=resnet50, experiments=quickstart with "
            "model=small_cnn_laplacian: leave one of them out, or add model= to the command line",
        ),
        (
            ["experiments=quickstart", "recipe=npr", "model=npr"],
            "recipe=npr trains with aug=none, experiments=quickstart with aug=blur_jpg_0.1",
        ),
        (["recipe=[npr,safe]"], "recipe=[npr,safe]: give one recipe, recipe=NAME"),
        (["task=test", "recipe=npr"], "recipe=npr is a training's: leave it out of task=test"),
    ],
)
def test_recipe_that_would_be_overridden_in_silence_is_refused(
    overrides: list[str], expected: str, tmp_path: Path
) -> None:
    with composed(*overrides, folder=tmp_path):
        assert error_of(check_recipe).startswith(expected)


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiments=quickstart"],
        ["recipe=npr"],
        ["recipe=npr", "model=resnet18", "schedule.max_epochs=3"],
        ["experiments=uncropped", "recipe=npr", "task=train"],
        ["experiments=quickstart", "recipe=npr", "model=npr", "aug=none", "schedule=step"],
    ],
)
def test_recipe_and_study_that_agree_are_taken(overrides: list[str], tmp_path: Path) -> None:
    with composed(*overrides, folder=tmp_path):
        check_recipe()


def test_command_line_takes_precedence_over_a_recipe(tmp_path: Path) -> None:
    chosen = ["recipe=safe", "model=resnet18", "schedule/optimizer=sgd", "schedule.max_epochs=3"]
    with composed(*chosen, folder=tmp_path) as cfg:
        assert (cfg.model.name, cfg.aug.name) == ("resnet18", "safe")
        assert cfg.schedule.optimizer._target_ == "torch.optim.SGD"
        assert (cfg.schedule.max_epochs, cfg.schedule.optimizer.lr) == (3, 5e-3)


def test_ablation_without_its_study_is_refused(tmp_path: Path) -> None:
    with composed("ablation=without_nearest", folder=tmp_path):
        assert error_of(check_ablation).startswith("ablation=without_nearest is of the study")
    for chosen in (["experiments=embedded", "ablation=without_nearest"], []):
        with composed(*chosen, folder=tmp_path):
            check_ablation()
