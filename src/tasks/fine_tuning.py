"""The weights that a training starts from: those of a file, of the backbone, or random ones."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.run_files import BEST_CHECKPOINT
from genspot.common.text import safe_repr
from genspot.detector.fine_tuning import SETTING, load_initial_weights
from genspot.detector.network import DetectorNetwork
from genspot.detector.settings import ModelSettings
from genspot.runtime.content import Content, describe_file
from genspot.runtime.run_folder import CHECKPOINTS
from genspot.tasks.networks import make_network
from genspot.tasks.overrides import command_line_overrides, overridden_keys
from genspot.tasks.schema import plain
from genspot.tasks.weights_by_name import local_file, with_initial_weights


def check_initial_weights(cfg: DictConfig) -> None:
    """Check that the settings of a training name at most one file of weights, as `model.weights`.

    Raises:
        GenspotError: they name a checkpoint to test, weights of the backbone besides, or a file
            that the training writes itself.
    """
    if cfg.checkpoint is not None:
        raise GenspotError(
            f"checkpoint={cfg.checkpoint} is tested, by task=test; a training starts from it with "
            f"model.weights={cfg.checkpoint}"
        )
    of_backbone = plain(cfg, "model.backbone.weights")
    keys = overridden_keys(command_line_overrides())
    if cfg.model.weights and of_backbone and "model.backbone.weights" in keys:
        raise GenspotError(
            f"model.weights={cfg.model.weights} and model.backbone.weights={of_backbone}: give one"
        )
    own = [Path(cfg.paths.output, name).resolve() for name in (BEST_CHECKPOINT, *CHECKPOINTS)]
    for setting in ("model.weights", "model.backbone.weights", "schedule.teacher"):
        path = OmegaConf.select(cfg, setting)
        if isinstance(path, str) and Path(path).resolve() in own:
            raise GenspotError(
                f"{setting}={path} is a file that this run writes: name another folder for the "
                "run, hydra.run.dir=PATH, or copy the file"
            )


def describe_initial_weights(cfg: DictConfig) -> dict[str, Content]:
    """Return the content of the files of `model.weights` and `schedule.teacher`, by setting."""
    files = {"model.weights": cfg.model.weights, "schedule.teacher": cfg.schedule.get("teacher")}
    paths = {
        setting: local_file(path, cfg.paths.weights, setting, cfg.quiet)
        for setting, path in files.items()
        if path
    }
    return {setting: describe_file(path) for setting, path in paths.items() if path.is_file()}


def make_initial_network(cfg: DictConfig, model: ModelSettings) -> tuple[DetectorNetwork, str]:
    """Return the network of `model` before a training, and where its weights are from.

    Returns:
        The network; and one line for the log on the file of `model.weights`, "" without it.

    Raises:
        GenspotError: the network cannot be built, or the weights cannot be had or do not fit.
    """
    if cfg.model.weights is None:
        return make_network(cfg, with_initial_weights(cfg, model)), ""
    network = make_network(cfg, model, initial_weights=False)
    file = local_file(cfg.model.weights, cfg.paths.weights, SETTING, cfg.quiet)
    new, learned_from = load_initial_weights(network, file)
    source = f"starting from the weights of {cfg.model.weights}"
    if learned_from not in (None, model.input):
        source += (
            f", which learned from model.input={safe_repr(learned_from)}, not from "
            f"{safe_repr(model.input)}"
        )
    return network, f"{source}; new are {', '.join(new)}" if new else source
