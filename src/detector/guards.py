"""What stops a training before its end, with nothing lost."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from detector.errors import DetectorError, StoppedError
from detector.resume import LAST
from detector.scores import Collected, gather, plain, write_csv

log = logging.getLogger(__name__)

# What Ctrl-C, schedulers and cluster managers send; submitit uses SIGUSR2.
SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
REQUEUE = "SIGUSR1"  # SLURM's notice before a time limit (sbatch --signal=USR1@120)


class Preemption(pl.Callback):
    """End the training after the step in which a signal comes, with a checkpoint of that step.

    Lightning's own handlers save in the middle of whatever a signal interrupts, which may be
    half a step, and enter a collective there on each rank by itself. Here the handler only takes
    note, and all ranks agree after each step. A signal during validation waits for its end.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.received: str | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        # Lightning has set its own by now, and puts back those before them at the end.
        for name in SIGNALS:
            if hasattr(signal, name):  # Windows has two of them
                signal.signal(getattr(signal, name), self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        if self.received == "SIGINT":  # a second Ctrl-C does not wait
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, *step: Any
    ) -> None:
        if self._agreed(trainer) and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            trainer.save_checkpoint(self.folder / LAST)
            self._stop(trainer)

    # After an epoch's last step there is validation and a checkpoint; then one of these.
    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._agreed(trainer):
            self._stop(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)

    def _agreed(self, trainer: pl.Trainer) -> bool:
        """Whether any rank has received a signal; all ranks ask together."""
        asked = self.received is not None
        if trainer.world_size == 1:
            return asked
        return trainer.strategy.reduce_boolean_decision(asked, all=False)

    def _stop(self, trainer: pl.Trainer) -> None:
        reason = self.received or "a signal to another process"
        if trainer.is_global_zero and self.received == REQUEUE:
            reason += requeue()
        raise StoppedError(
            f"stopped by {reason}; {self.folder} holds the training up to here: the same command, "
            "into that folder, goes on from there"
        )


@contextmanager
def orderly(folder: Path) -> Iterator[None]:
    """Word what Lightning raises for a signal during a test.

    Raises:
        StoppedError: in place of that.
    """
    try:
        yield
    except SIGTERMException as error:
        raise StoppedError(
            f"stopped by SIGTERM in a test; the same command, into {folder}, tests anew"
        ) from error


def requeue() -> str:
    """Put this SLURM job into the queue again; what came of it, in words."""
    job = os.environ.get("SLURM_JOB_ID")
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if not job:
        return ""
    if not shutil.which("scontrol"):
        return f", and job {job} was not requeued: no scontrol here"
    result = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    if result.returncode:
        return f", and job {job} was not requeued: {' '.join(result.stderr.split())}"
    return f", and job {job} is requeued"


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
        raise DetectorError(
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
