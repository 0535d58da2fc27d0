"""A callback with which a training sends itself a signal, once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.loggers import CSVLogger


class SignalOnce(pl.Callback):
    """Send `name` to this process in batch `batch` of epoch `epoch`, unless `mark` is there.

    A batch of -1 is the validation, an epoch of -1 the time before the training.
    """

    def __init__(self, name: str, epoch: int, batch: int, mark: str) -> None:
        self.name, self.epoch, self.batch, self.mark = name, epoch, batch, Path(mark)

    def setup(self, *_: Any, **__: Any) -> None:
        if self.epoch < 0:
            self._send()

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


class SlowToClose(CSVLogger):
    """A logger that waits for a slow server where its run is stopped."""

    def finalize(self, status: str) -> None:
        if status == "failed":
            time.sleep(8)  # longer than Lightning takes to notice that another rank has ended
            Path(self.save_dir, "closed").touch()


class Infinite(pl.Callback):
    """Make a weight infinite before batch `batch` of epoch `epoch`."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            next(module.parameters()).data[0] = float("inf")


def told(cfg: DictConfig) -> None:
    """A task of genspot.tasks.train that is told once to end, by itself, while it reads an image.

    `task.told` says who is told (rank), by which signal (name), and at which row; its file `mark`
    is there from then on.
    """
    from genspot.data.dataset import ImageDataset
    from genspot.tasks import train as tasks

    mine, read = cfg.task.told, ImageDataset.__getitem__
    mark = Path(mine.mark)

    def reading(dataset: ImageDataset, index: tuple[int, int]) -> object:
        whole = not dataset.train and dataset.augment is None and len(dataset) > 11  # of the test
        me = int(os.environ.get("LOCAL_RANK", "0")) == mine.rank
        if whole and me and index[1] == mine.row and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), getattr(signal, mine.name))
        return read(dataset, index)

    ImageDataset.__getitem__ = reading  # type: ignore[method-assign, assignment]
    getattr(tasks, cfg.task.name)(cfg)
