"""Whether a model still is what its name says, after the command line changed settings of it."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.text import safe_repr
from genspot.tasks.composition import compose_again
from genspot.tasks.overrides import (
    command_line_overrides,
    overridden_keys,
    search_path_overrides,
)

PARTS = ("input", "backbone")
KINDS = ("name", "_target_")  # what a part is; its other settings are choices within it


def check_model_name(cfg: DictConfig) -> None:
    """Check that another input representation or backbone does not keep the name of the model.

    The name of torchvision's and timm's models follows `model.backbone.arch` by itself.

    Raises:
        GenspotError: the command line exchanged one, and gives the model no name.
    """
    keys = overridden_keys(command_line_overrides())
    settings = [f"model.{part}.{kind}" for part in PARTS for kind in KINDS]
    exchanged = {*settings, *(f"model.{part}" for part in PARTS)}
    choice = HydraConfig.get().runtime.choices.get("model")
    if "model.name" in keys or not exchanged & set(keys) or not isinstance(choice, str):
        return
    chosen = compose_again([f"model={choice}", *search_path_overrides()])
    for setting in settings:
        value = OmegaConf.select(cfg, setting)
        if value != OmegaConf.select(chosen, setting):
            raise GenspotError(
                f"{setting}={safe_repr(value)} makes another model of model={choice}, which "
                f"tables would call {safe_repr(cfg.model.name)}: name it, model.name=NAME"
            )
