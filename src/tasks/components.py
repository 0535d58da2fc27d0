"""What the settings are made into: network, data module, trainer, loggers."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import Logger
from torch import nn

from genspot.common.errors import GenspotError
from genspot.data.datamodule import ImageDataModule
from genspot.detector.network import (
    DetectorNetwork,
    build_backbone,
    build_input,
    custom_model_error,
)
from genspot.detector.precision import check_processes
from genspot.detector.settings import ModelSettings
from genspot.tasks.config import DataSettings, TrainerSettings


def make_network(
    model_node: DictConfig, model: ModelSettings, channels_last: bool = False
) -> DetectorNetwork:
    """Return the network of `model`, with initial weights where it names some.

    Args:
        model_node: the composed `cfg.model`, which builds the parts of a user's own config.
        model: its settings.
        channels_last: see `DetectorNetwork`.

    Raises:
        GenspotError: it cannot be built.
    """
    parts: dict[str, nn.Module] = {}
    for name, settings, build in (
        ("input", model.input, build_input),
        ("backbone", model.backbone, build_backbone),
    ):
        if settings is None and "_target_" not in model_node[name]:
            raise custom_model_error(model)
        parts[name] = (
            build(settings) if settings else instantiate(model_node[name], _convert_="all")
        )
    return DetectorNetwork(**parts, trainable=model.trainable, channels_last=channels_last)


def make_datamodule(settings: DataSettings, inputs: str | None = None) -> ImageDataModule:
    """Return the data module."""
    return ImageDataModule(**vars(settings), inputs=inputs)


def make_loggers(cfg: DictConfig, **changes: Any) -> list[Logger]:
    """Return the loggers of a run; `changes` replace settings for them alone."""
    node = OmegaConf.merge(cfg, changes)
    return list(instantiate(node.logger.logger, _convert_="all").values())


def make_trainer(settings: TrainerSettings, precision: str, **arguments: Any) -> pl.Trainer:
    """Return Lightning's trainer.

    Args:
        settings: its arguments as configured.
        precision: of the computation, in Lightning's terms.
        arguments: further ones, which take precedence.

    Raises:
        GenspotError: the machine lacks what is asked for.
    """
    arguments["callbacks"] = [*arguments.get("callbacks", []), TQDMProgressBar()]
    defaults = {"logger": False, "enable_checkpointing": False, "precision": precision}
    if SLURMEnvironment.detect():
        # Lightning's own requeueing saves in the middle of a step, and leaves a file that a later
        # test would load in place of its checkpoint.
        plugins = [*arguments.get("plugins", []), SLURMEnvironment(auto_requeue=False)]
        arguments["plugins"] = plugins
    try:
        trainer: pl.Trainer = instantiate(
            {**settings.arguments, "_convert_": "all", "_partial_": True}
        )(**{**defaults, **arguments})
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        hint = "trainer=auto takes what there is"
        if settings.name == "auto":
            hint = "leave out what was changed of trainer.*, or choose another value"
        reason = " ".join(str(error).split())
        raise GenspotError(
            f"trainer={settings.name} does not work here: {reason}; {hint}"
        ) from error
    check_processes(trainer, settings.arguments["sync_batchnorm"])
    return trainer


def silence_warnings() -> None:
    """Leave out what Lightning reports on every run, and tracebacks of full log files."""
    logging.raiseExceptions = False
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*treespec.*deprecated.*",
        ".*predict returned None.*",
        ".*recommended to use .self.log.*sync_dist=True.*",  # torchmetrics does so by itself
        ".*smaller than the logging interval.*",
        ".*in eval mode at the start of training.*",  # model.trainable=head: on purpose
    ):
        warnings.filterwarnings("ignore", message)
