"""What a training builds from its settings, built once before data are read to find mistakes."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.optim.lr_scheduler import ReduceLROnPlateau

from genspot.common.errors import GenspotError
from genspot.common.run_files import BEST_CHECKPOINT
from genspot.detector.lr_schedules import build_scheduler
from genspot.detector.parameters import group_arguments
from genspot.detector.precision import resolve_precision
from genspot.detector.settings import ENCODER_WEIGHTS
from genspot.tasks.components import make_trainer
from genspot.tasks.config import training_set
from genspot.tasks.error_messages import root_cause
from genspot.tasks.kinds import SECTION
from genspot.tasks.schema import plain
from genspot.tasks.training_parts import make_loss
from genspot.tasks.training_sets import trains_on_sets

BUILD_ERRORS = (TypeError, ValueError, InstantiationException, MisconfigurationException)
# Arguments of Lightning's that do not keep to the steps of gathered gradients.
WITHIN_STEP = {
    "val_check_interval": "a checkpoint within a step would lose its gradients",
    "limit_train_batches": "the last step of an epoch would have fewer batches",
}
STEPS = 1000  # of an epoch: enough for any part of one
FIGURES = ("val/acc", "val/ap", "val/loss", "train/loss")  # what a training logs


def check_training(cfg: DictConfig) -> None:
    """Check the settings that PyTorch, Lightning and a user's own classes are built from.

    Raises:
        GenspotError: one cannot be built, the training set is not named, or no callback keeps the
            best checkpoint.
    """
    source = training_set(cfg)
    if trains_on_sets(cfg) and not source.parts:
        raise GenspotError(
            f"data={cfg.data.name} needs the sets to train and test on: generator=[sitd,san] or "
            "test_sets={NAME: PATH, …}"
        )
    if not (source.parts or (source.train and source.val)):
        raise GenspotError(f"data={cfg.data.name} needs data.train=PATH and data.val=PATH")
    _check_schedule(cfg)
    _check_gathering(cfg)
    _check_compiling(cfg)
    _check_callbacks(cfg)
    _check_loggers(cfg)
    make_trainer(cfg, resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator))


def _build(setting: str, build: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what `build` makes of its arguments.

    Raises:
        GenspotError: it takes none such; `setting` is named.
    """
    try:
        return build(*arguments, **options)
    except BUILD_ERRORS as error:
        reason = " ".join(str(root_cause(error)).split())
        named = reason.startswith(setting)
        raise GenspotError(reason if named else f"{setting}: {reason}") from error


def _check_schedule(cfg: DictConfig) -> None:
    make_loss(cfg)
    setting = "schedule.lr_scheduler"
    make_optimizer, make_scheduler = (
        _build(f"schedule.{part}", instantiate, cfg.schedule[part], _convert_="all")
        for part in ("optimizer", "lr_scheduler")
    )
    groups = plain(cfg, "schedule.parameter_groups") or {}
    weights = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(1 + len(groups))]
    optimizer = _build("schedule.optimizer", make_optimizer, weights[:1])
    for (name, settings), group in zip(groups.items(), weights[1:], strict=True):
        arguments = group_arguments(settings)  # PyTorch checks those of an optimizer alone
        _build(f"schedule.parameter_groups.{name}", make_optimizer, [group], **arguments)
        optimizer.add_param_group(group | arguments)
    if make_scheduler is None:
        return
    rates = [group["lr"] for group in optimizer.param_groups]
    for key in ("total_steps", "steps_per_epoch"):
        if key in cfg.schedule.lr_scheduler:
            raise GenspotError(f"{setting}.{key} follows from the training: leave it out")
    # Steps of a training and of an epoch, which are not known before the images.
    length = STEPS * cfg.trainer.max_epochs, STEPS
    scheduler = _build(setting, build_scheduler, make_scheduler, optimizer, *length)
    if isinstance(scheduler, ReduceLROnPlateau):
        raise GenspotError(
            f"{setting}: ReduceLROnPlateau needs a figure after each epoch, and schedulers are "
            "stepped after each step; callbacks=[checkpoint,plateau] is such a rule"
        )
    first = {group["lr"] for group in optimizer.param_groups}
    if len(set(rates)) > 1 and len(first) == 1 and first != {0}:
        target = cfg.schedule.lr_scheduler._target_.rpartition(".")[2]
        raise GenspotError(
            f"{setting}: {target} sets one learning rate for all parameters: leave lr out of "
            "schedule.parameter_groups, or take schedule=constant, step or warmup_cosine"
        )


def _check_gathering(cfg: DictConfig) -> None:
    """Check that an epoch is made of whole steps, and that a gradient's clipping is one.

    Raises:
        GenspotError: a checkpoint could be written within a step, whose gradients it has not; an
            epoch could end within a step; or the way of clipping is named without a limit.
    """
    trainer = cfg.trainer
    if (trainer.get("accumulate_grad_batches") or 1) > 1:
        for key, harm in WITHIN_STEP.items():
            value = trainer.get(key)
            if value is not None and not (type(value) is float and value == 1):  # 1: one batch
                raise GenspotError(
                    f"trainer.{key}={value} with trainer.accumulate_grad_batches: {harm}; leave "
                    "one of them out"
                )
    if trainer.get("gradient_clip_algorithm") and not trainer.get("gradient_clip_val"):
        raise GenspotError(
            f"trainer.gradient_clip_algorithm={trainer.gradient_clip_algorithm} needs "
            "trainer.gradient_clip_val, which is the limit"
        )


def _check_compiling(cfg: DictConfig) -> None:
    """Raise GenspotError if a training does not call what is compiled: the backbone as a whole."""
    causes = [key for key in ("schedule.teacher", "schedule.contrastive") if plain(cfg, key)]
    if cfg.keep_features and plain(cfg, f"model.backbone.{ENCODER_WEIGHTS}"):
        causes.append("keep_features=true")
    if causes and cfg.trainer.compile:
        raise GenspotError(
            "trainer.compile=true compiles the backbone as a whole, of which a training with "
            f"{causes[0]} calls parts alone: leave one of them out"
        )


def _check_callbacks(cfg: DictConfig) -> None:
    callbacks = cfg.get("callbacks") or {}
    if not callbacks.get("best"):
        raise GenspotError(
            "callbacks: without checkpoint there is no best.ckpt to test; give "
            "callbacks=[checkpoint,…]"
        )
    for name in callbacks:
        setting = f"callbacks.{name}"
        SECTION.check(setting, plain(cfg, setting))
        callback = _build(setting, instantiate, callbacks[name], _convert_="all")
        if not isinstance(callback, pl.Callback):
            raise GenspotError(f"{setting} is no callback of Lightning: give its _target_")
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in FIGURES:
            raise GenspotError(f"{setting}.monitor={monitor}: choose {', '.join(FIGURES)}")
        if name == "best":
            _check_best(cfg, callback)


def _check_best(cfg: DictConfig, callback: pl.Callback) -> None:
    """Raise GenspotError if the best checkpoint would not be where the test looks for it."""
    expected = Path(cfg.paths.output)
    if not (
        isinstance(callback, ModelCheckpoint)
        and f"{callback.filename}.ckpt" == BEST_CHECKPOINT
        and Path(callback.dirpath or "") == expected
    ):
        raise GenspotError(
            "callbacks.best must leave best.ckpt in the run's folder: change nothing of its "
            "_target_, dirpath and filename"
        )


def _check_loggers(cfg: DictConfig) -> None:
    for name in cfg.logger.logger:
        setting = f"logger.logger.{name}"
        SECTION.check(setting, plain(cfg, setting))
        target = cfg.logger.logger[name].get("_target_")
        try:
            pkgutil.resolve_name(str(target))
        except (ImportError, AttributeError, ValueError) as error:
            raise GenspotError(f"{setting}._target_={target}: nothing to import there") from error
