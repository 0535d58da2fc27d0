"""How far a run is, in a log: a progress bar needs a terminal."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class ProgressLog(pl.Callback):
    """Log the batch that a training, test or prediction has reached, at intervals.

    Args:
        interval: in seconds.
    """

    def __init__(self, interval: float = 60) -> None:
        self.interval = interval
        self.last = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *step: Any
    ) -> None:
        total = trainer.num_training_batches
        self._log(trainer, f"training, epoch {trainer.current_epoch}", int(step[2]), total)

    def on_test_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *step: Any
    ) -> None:
        self._log(trainer, "testing", int(step[2]), trainer.num_test_batches[0])

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *step: Any
    ) -> None:
        self._log(trainer, "scoring", int(step[2]), trainer.num_predict_batches[0])

    def _log(self, trainer: pl.Trainer, task: str, batch: int, total: float) -> None:
        if trainer.is_global_zero and time.monotonic() - self.last >= self.interval:
            self.last = time.monotonic()
            log.info("%s: batch %d of %d", task, batch + 1, total)
