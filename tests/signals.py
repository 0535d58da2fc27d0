"""A callback with which a training sends itself a signal, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl


class SignalOnce(pl.Callback):
    """Send `name` to this process in batch `batch` of epoch `epoch`, unless `mark` is there."""

    def __init__(self, name: str, epoch: int, batch: int, mark: str) -> None:
        self.name, self.epoch, self.batch, self.mark = name, epoch, batch, Path(mark)

    def on_train_batch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.current_epoch == self.epoch and rest[-1] == self.batch:
            self._send()

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch and self.batch < 0:  # in validation
            self._send()

    def _send(self) -> None:
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), getattr(signal, self.name))


class Infinite(pl.Callback):
    """Make a weight infinite before batch `batch` of epoch `epoch`."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            next(module.parameters()).data[0] = float("inf")
