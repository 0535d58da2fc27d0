"""Faults within a run: callbacks and a task that send a signal once, or spoil a weight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import get_method
from omegaconf import DictConfig
from pytorch_lightning.loggers import CSVLogger

from genspot.common.ranks import is_rank_zero
from genspot.data.dataset import ImageDataset
from helpers.settings import ROOT

PYTHONPATH = str(ROOT / "tests")  # for run.py to find this module


class SignalOnce(pl.Callback):
    """Send the signal `name` to this process before batch `batch` of epoch `epoch`.

    Once: `mark` is a file that exists from then on. A batch of -1 is the validation; an epoch of
    -1 is the time before the training.
    """

    def __init__(self, name: str, epoch: int, batch: int, mark: str) -> None:
        self.name, self.epoch, self.batch, self.mark = name, epoch, batch, Path(mark)

    def setup(self, *_: Any, **__: Any) -> None:
        if self.epoch < 0:
            send_once(self.name, self.mark)

    def on_train_batch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.current_epoch == self.epoch and rest[-1] == self.batch:
            send_once(self.name, self.mark)

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch and self.batch < 0:
            send_once(self.name, self.mark)


class SlowToFinalize(CSVLogger):
    """A logger that waits for a slow server when its run is stopped."""

    def finalize(self, status: str) -> None:
        if status == "failed":
            time.sleep(8)  # longer than Lightning takes to notice that another rank has ended
            Path(self.save_dir, "finalized").touch()


class Hang(pl.Callback):
    """Never end the first step."""

    def on_train_batch_start(self, *_: Any) -> None:
        print("hanging", flush=True)
        time.sleep(600)


class InfiniteWeight(pl.Callback):
    """Make a weight infinite before batch `batch` of epoch `epoch`."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            next(module.parameters()).data[0] = float("inf")


def send_once(name: str, mark: Path) -> None:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), getattr(signal, name))


def signal_while_testing(cfg: DictConfig) -> None:
    """Run the task `task.fault.run`, and send rank 0 a signal once while it reads a test image.

    `task.fault` also has `name`, the signal, `mark`, a file that exists from then on, and `row`,
    the first image that the signal can meet.
    """
    fault, read = cfg.task.fault, ImageDataset.__getitem__

    def read_and_signal(dataset: ImageDataset, index: tuple[int, int]) -> Any:
        tested = not dataset.train and len(dataset) > 11  # the validation set has 11 images
        if is_rank_zero() and tested and index[1] >= fault.row:
            send_once(fault.name, Path(fault.mark))
        return read(dataset, index)

    ImageDataset.__getitem__ = read_and_signal  # type: ignore[method-assign]
    get_method(fault.run)(cfg)


def signal_in_training(name: str, epoch: int, batch: int, folder: Path) -> list[str]:
    """Return the overrides of a training that sends itself a signal once."""
    target = "_target_: helpers.fault_injection.SignalOnce"
    values = f"name: {name}, epoch: {epoch}, batch: {batch}, mark: '{folder}/sent'"
    return [f"+callbacks.signal={{{target}, {values}}}"]


def signal_in_test(task: str, name: str, folder: Path, row: int = 0) -> list[str]:
    """Return the overrides of a run of `task` that sends itself a signal once while it tests."""
    run = f"run: genspot.tasks.{task}.{task}"
    fault = f"+task.fault={{{run}, name: {name}, mark: '{folder}/sent', row: {row}}}"
    return [f"task={task}", "task.run=helpers.fault_injection.signal_while_testing", fault]


def start_training(overrides: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a run in an interpreter of its own, and wait until it trains or has ended."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *overrides],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "] - training " in line:
            break
    return process
