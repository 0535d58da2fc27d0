"""Stopping a training with a checkpoint of the step in which a signal came.

A step may gather the gradients of several batches (`trainer.accumulate_grad_batches`). A
checkpoint holds no gradients, so the training stops after the last of them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from genspot.common.run_files import LAST_CHECKPOINT


class GracefulStop(pl.Callback):
    """Stop a training after the step in which a signal came, with a checkpoint of that step.

    All ranks agree after each batch. A signal during validation waits until it ends. Tests and
    predictions stop at once.

    Args:
        shutdown: the `genspot.runtime.shutdown.ShutdownHandler` of this process.
        folder: the run's folder, which gets last.ckpt.
        before_save: called on all ranks before that checkpoint is saved.
    """

    def __init__(
        self, shutdown: Any, folder: Path, before_save: Callable[[], object] | None = None
    ) -> None:
        self.shutdown, self.folder, self.before_save = shutdown, folder, before_save

    # Lightning wraps the handler of SIGTERM just before these three hooks. Its part runs a
    # collective inside the handler, which deadlocks if ranks are interrupted at different calls.
    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.shutdown.install()
        self.shutdown.defer()

    def on_test_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.shutdown.install()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.shutdown.install()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        number = self._agreed_request(trainer)
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if number and stepped and not trainer.is_last_batch:
            # Lightning logs a step's metrics after this hook, and a resumed training begins with
            # the next step: without this call metrics.csv lacks them. There is no public way.
            trainer._logger_connector.update_train_step_metrics()
            if self.before_save:
                self.before_save()
            trainer.save_checkpoint(self.folder / LAST_CHECKPOINT)
            self.shutdown.stop(number)

    # The last step of an epoch is followed by validation, a checkpoint, and one of these hooks.
    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if number := self._agreed_request(trainer):
            self.shutdown.stop(number)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, module)
        self.shutdown.resume()

    def on_exception(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException
    ) -> None:
        if self.shutdown.requested is None:
            self.shutdown.resume()
        elif launcher := trainer.strategy.launcher:
            launcher.kill(signal.SIGTERM)  # of the other ranks: those that know already ignore it

    def _agreed_request(self, trainer: pl.Trainer) -> int:
        """Return the signal that any rank received, 0 for none; a collective of all ranks."""
        number = self.shutdown.requested or 0
        if trainer.world_size == 1:
            return number
        requested = torch.tensor(number, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(requested, reduce_op="max"))
