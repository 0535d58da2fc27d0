"""Recipes (conf/recipe/) beside studies (experiments/): which of them chooses what."""

from __future__ import annotations

from hydra import compose
from hydra.core.hydra_config import HydraConfig

from genspot.common.errors import GenspotError
from genspot.tasks.overrides import (
    command_line_overrides,
    overridden_keys,
    parse_overrides,
    search_path_overrides,
)

CHOSEN = ("model", "aug", "schedule", "schedule/optimizer")  # groups of which a recipe consists


def check_ablation() -> None:
    """Check that what a run leaves out (conf/ablation/) is of a study.

    Raises:
        GenspotError: an ablation is chosen, and no study, such as `embedded`.
    """
    choices = HydraConfig.get().runtime.choices
    ablation = choices.get("ablation")
    if ablation not in (None, "none") and choices.get("experiments") is None:
        raise GenspotError(
            f"ablation={ablation} is of the study embedded: add experiments=embedded, or leave it "
            "out"
        )


def check_recipe() -> None:
    """Check that the chosen study leaves to the chosen recipe what a recipe chooses.

    Hydra would take the study's choice and say nothing. What the command line names is neither's.

    Raises:
        GenspotError: the study chooses another model, augmentation, schedule or optimiser; or
            several recipes are named, or one for a task that trains nothing.
    """
    arguments = command_line_overrides()
    overrides = parse_overrides(arguments)
    for one in overrides:
        if one.key_or_group == "recipe" and isinstance(one.value(), list):
            raise GenspotError(f"{one.input_line}: give one recipe, recipe=NAME")
    choices = HydraConfig.get().runtime.choices
    recipe, study, task = (choices.get(group) for group in ("recipe", "experiments", "task"))
    if recipe is not None and task != "train" and "recipe" in overridden_keys(arguments):
        raise GenspotError(f"recipe={recipe} is a training's: leave it out of task={task}")
    if recipe is None or study is None:
        return
    rest = [str(one.input_line) for one in overrides if one.key_or_group != "experiments"]
    alone = compose("config", [*rest, *search_path_overrides()], return_hydra_config=True)
    for group in CHOSEN:
        own = alone.hydra.runtime.choices.get(group)
        if (other := choices.get(group)) != own:
            raise GenspotError(
                f"recipe={recipe} trains with {group}={own}, experiments={study} with "
                f"{group}={other}: leave one of them out, or add {group}= to the command line"
            )
