"""What the configuration is made into: data module, trainer, loggers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import albumentations
import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import Logger

from genspot.augment.check import check_augmentation, check_composition
from genspot.augment.conditions import parse_test_protocol
from genspot.augment.degradations import parse_degradations, parse_protocol
from genspot.common.errors import GenspotError
from genspot.common.protocols import OWN_PROTOCOL, split_condition, without_condition
from genspot.data.datamodule import ImageDataModule
from genspot.data.settings import Simulation
from genspot.detector.precision import check_processes
from genspot.detector.progress import ProgressLog
from genspot.detector.settings import ModelSettings
from genspot.tasks import config
from genspot.tasks.error_messages import place_of, root_cause

# Arguments of Lightning's trainer that genspot gives itself, and the setting to use instead.
OWN_ARGUMENTS = {
    "logger": "logger=",
    "callbacks": "callbacks=",
    "enable_checkpointing": "callbacks=",
    "plugins": "trainer.strategy",
}


def make_datamodule(
    cfg: DictConfig,
    model: ModelSettings,
    training: Literal["all", "validation", "none"] = "all",
    testing: bool = True,
    inputs: Sequence[str] = (),
    own_protocol: str | None = None,
) -> ImageDataModule:
    """Return the data module.

    Args:
        cfg: the configuration.
        model: whose geometry the images get; `cfg.crop` replaces the crop of its test images.
        training: which images of the training set are read, or built where they are simulated.
        testing: whether the test sets are read.
        inputs: the photos, folders and so on of a prediction.
        own_protocol: of the checkpoint, which follows a condition of a test; None where there is
            no checkpoint.

    Raises:
        GenspotError: a value out of range, or a condition of a test without a checkpoint.
    """
    protocol = str(cfg.protocol)
    if own_protocol is None:
        _refuse_condition(protocol, cfg.task.name)
        own_protocol = protocol
    source = None if training == "none" else config.training_set(cfg)
    augment = {"test": parse_degradations(cfg.degradations)}
    if training == "all":
        for split in ("train", "val"):
            augment[split] = make_augmentation(cfg, split)
    elif source:
        source = replace(source, train=None)
    return ImageDataModule(
        training_set=source,
        test_sets=config.test_sets(cfg) if testing else [],
        augment=augment,
        train_geometry=model.train,
        test_geometry=model.test.with_crop(cfg.crop),
        loading=config.loading(cfg),
        simulation=Simulation(**cfg.simulation),
        inputs=inputs,
        protocol=parse_protocol(without_condition(protocol, own_protocol)),
        test_protocols=parse_test_protocol(protocol, own_protocol),
    )


def _refuse_condition(protocol: str, task: str) -> None:
    """Raise GenspotError if `protocol` is one of a test or a prediction alone."""
    condition, steps = split_condition(protocol)
    if condition or protocol == OWN_PROTOCOL:
        instead = f"protocol={steps or 'none'}" if condition else "protocol=none"
        raise GenspotError(
            f"protocol={protocol} is a condition of a test: task={task} takes steps for all "
            f"images, such as {instead}"
        )


def make_augmentation(cfg: DictConfig, split: str) -> albumentations.Compose | None:
    """Return the augmentation of "train" or "val" images.

    Raises:
        GenspotError: it cannot be built.
    """
    setting = f"aug.{split}"
    if split not in cfg.aug:
        raise GenspotError(
            f"{setting} is missing: give an albumentations.Compose, or null for none"
        )
    try:
        with warnings.catch_warnings():  # an argument that albumentations only warns of
            warnings.filterwarnings("error", ".*not valid for transform.*")
            augment = instantiate(cfg.aug[split], _convert_="all")
    except (InstantiationException, SystemExit) as error:  # a transform of the user's own
        cause = root_cause(error)
        reason = str(cause) or type(cause).__name__
        if isinstance(cause, AttributeError) and cause.name == "available_keys":  # see Compose
            reason = f"{cause.obj!r} is no transform of albumentations"
        line = f"{setting} cannot be built: {reason} {place_of(error)}"
        raise GenspotError(" ".join(line.split())) from error
    check_composition(setting, augment)
    return augment


def check_augmentations(datamodule: ImageDataModule) -> None:
    """Try the augmentations on a few images that the data module has read the tables of.

    Raises:
        GenspotError: one fails, or returns no image or one smaller than the crop.
    """
    for split in ("train", "val"):
        augment = datamodule.augment.get(split)
        images, crop = datamodule.sample_images(split), datamodule.train_geometry.crop
        check_augmentation(f"aug.{split}", augment, images, crop)


def make_loggers(cfg: DictConfig, **changes: Any) -> list[Logger]:
    """Return the loggers of a run; `changes` replace settings for them alone."""
    node = OmegaConf.merge(cfg, changes)
    return list(instantiate(node.logger.logger, _convert_="all").values())


@contextmanager
def failing_with(loggers: list[Logger]) -> Iterator[None]:
    """Finish `loggers` as failed if the block raises; Lightning does so in a training only."""
    try:
        yield
    except BaseException:
        for logger in loggers:
            logger.finalize("failed")
        raise


def make_trainer(cfg: DictConfig, precision: str, **arguments: Any) -> pl.Trainer:
    """Return Lightning's trainer.

    Args:
        cfg: the configuration, with the trainer's arguments in `cfg.trainer`.
        precision: of the computation, in Lightning's terms.
        arguments: further ones, which take precedence.

    Raises:
        GenspotError: the machine lacks what is asked for, or an argument is not a setting.
    """
    for name, setting in OWN_ARGUMENTS.items():
        if name in cfg.trainer:
            raise GenspotError(f"trainer.{name} is set by genspot itself; see {setting}")
    settings = config.as_dict(cfg.trainer)
    bar = settings.get("enable_progress_bar", True) and not cfg.quiet and sys.stdout.isatty()
    progress = TQDMProgressBar() if bar else ProgressLog()
    arguments["callbacks"] = [*arguments.get("callbacks", []), progress]
    for name in ("name", "channels_last", "compile"):  # concern the network
        del settings[name]
    settings |= {"enable_progress_bar": bar}
    if settings.get("accumulate_grad_batches", 1) is None:
        settings["accumulate_grad_batches"] = 1
    settings |= {"logger": False, "enable_checkpointing": False, "precision": precision}
    if SLURMEnvironment.detect():
        # Lightning's own requeueing saves in the middle of a step, and leaves a file that a later
        # test would load in place of its checkpoint.
        plugins = [*arguments.get("plugins", []), SLURMEnvironment(auto_requeue=False)]
        arguments["plugins"] = plugins
    try:
        trainer: pl.Trainer = instantiate({**settings, "_partial_": True})(**arguments)
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        hint = "trainer=auto takes what there is"
        if cfg.trainer.name == "auto":
            hint = "leave out what was changed of trainer.*, or choose another value"
        reason = " ".join(str(error).split())
        raise GenspotError(
            f"trainer={cfg.trainer.name} does not work here: {reason}; {hint}"
        ) from error
    check_processes(trainer, cfg.trainer.sync_batchnorm)
    return trainer
