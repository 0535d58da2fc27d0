"""What stops a training before its end, with nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from genspot.common.errors import GenspotError
from genspot.detector.resume import LAST
from genspot.evaluation.scores import Collected, gather, plain, write_csv
from genspot.runtime.shutdown import INBOX


class Preemption(pl.Callback):
    """End the training after the step in which a signal comes, with a checkpoint of that step.

    All ranks agree on it after each step. A signal during validation waits for its end.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        INBOX.hold()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *step: Any
    ) -> None:
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if (number := self._agreed(trainer)) and not last:
            # Lightning logs a step after this hook, and a training that goes on begins behind it.
            trainer._logger_connector.update_train_step_metrics()
            trainer.save_checkpoint(self.folder / LAST)
            self._stop(number)

    # After an epoch's last step there is validation and a checkpoint; then one of these.
    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if number := self._agreed(trainer):
            self._stop(number)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, module)
        INBOX.release()

    def on_exception(self, *of: Any) -> None:
        INBOX.drop()

    def _agreed(self, trainer: pl.Trainer) -> int:
        """The signal that any rank has received, 0 for none; all ranks ask together."""
        number = INBOX.received or 0
        if trainer.world_size == 1:
            return number
        told = torch.tensor(number, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(told, reduce_op="max"))

    def _stop(self, number: int) -> None:
        raise INBOX.stopped(
            number,
            f"{self.folder} holds the training up to here: the same command, into that folder, "
            "goes on from there",
        )


class Finite(pl.Callback):
    """End the training before a step that is not finite, and write down its images.

    The gradient tells, and not the loss alone: it is the same on all ranks, so that all stop
    together, and the weights are still those of the step before. In float16 the loss of any rank
    does, for there the scaler lets gradients overflow, and leaves out those steps, by design.

    Args:
        folder: of the run; gets not_finite.csv.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[int] = []
        self.loss = torch.zeros(())

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.rows = batch["row"].tolist()

    def on_before_backward(
        self, trainer: pl.Trainer, module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        self.loss = loss.detach()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self._finite(trainer, module):
            return
        samples = trainer.datamodule.tables["train"]  # type: ignore[attr-defined]
        rows = gather(Collected(rows=self.rows)).rows
        place = self.folder / "not_finite.csv"
        if trainer.is_global_zero:
            write_csv(plain(samples.take(rows)), place)
        raise GenspotError(
            f"the loss or its gradient is not finite at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch}): {place} lists the images of that step; a lower "
            f"schedule.optimizer.lr or trainer.precision=32-true may help. "
            f"{self.folder / LAST} is the last good checkpoint, if there is one"
        )

    def _finite(self, trainer: pl.Trainer, module: pl.LightningModule) -> bool:
        if trainer.precision == "16-mixed":
            own = bool(torch.isfinite(self.loss))
            return trainer.strategy.reduce_boolean_decision(own, all=True)
        gradients = [one.grad for one in module.parameters() if one.grad is not None]
        return bool(torch.isfinite(torch.nn.utils.get_total_norm(gradients)))
