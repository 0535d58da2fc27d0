"""Whether a training is the one that the names of its choices say."""

from __future__ import annotations

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from genspot.tasks.composition import compose_again
from genspot.tasks.overrides import search_path_overrides
from genspot.tasks.schema import plain

GROUPS = ("recipe", "data", "aug")


def changed_settings(cfg: DictConfig) -> tuple[str, ...]:
    """Return the settings that make the training of `cfg` another than its names say.

    These are other weights to start from than the model's, other classes than those of the data,
    and a change to the augmentation. A checkpoint carries the model's settings themselves.

    Args:
        cfg: as composed, of a training.
    """
    choices = HydraConfig.get().runtime.choices
    named = [f"{group}={choices[group]}" for group in GROUPS if choices.get(group)]
    chosen = compose_again([*named, *search_path_overrides()])
    found = ["model.weights"] if plain(cfg, "model.weights") is not None else []
    if plain(cfg, "data.classes") != plain(chosen, "data.classes"):
        found.append("data.classes")
    own, of_file = _augmentation(cfg), _augmentation(chosen)
    keys = [key for key in {**of_file, **own} if key != "name"]
    return (*found, *(f"aug.{key}" for key in keys if own.get(key) != of_file.get(key)))


def _augmentation(cfg: DictConfig) -> dict[str, Any]:
    values: Any = OmegaConf.to_container(cfg.aug)  # what refers to the model is as it is written
    return dict(values)
