"""A training that is interrupted anywhere resumes with exactly the samples that remain."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import get_worker_info

from genspot.common.geometry import Geometry
from genspot.data.dataset import ImageDataset
from genspot.data.layout import sample_table
from genspot.data.loaders import ResumableDataLoader, eval_loader, loader_options
from genspot.data.samplers import ResumableShuffleSampler, SequentialDistributedSampler

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS, BATCH_SIZE, EPOCHS = 22, 4, 3
Seen = list[list[tuple[int, int]]]  # (epoch, row) of each batch


def read_pixel(row: int) -> np.ndarray:
    return np.full((1, 1, 3), row, np.uint8)


def make_table() -> pa.Table:
    return sample_table((f"{row}.png", "", "", row % 2) for row in range(ROWS))


class EpochDataset(ImageDataset):
    """Rows with the epoch for which they were drawn, in place of their label."""

    def __getitem__(self, index: tuple[int, int]) -> Any:
        return {**super().__getitem__(index), "label": index[0]}


def make_loader(workers: int) -> ResumableDataLoader:
    dataset = EpochDataset(make_table(), geometry=Geometry(crop=1), train=True, read=read_pixel)
    return ResumableDataLoader(
        dataset,
        batch_size=BATCH_SIZE,
        sampler=ResumableShuffleSampler(ROWS, seed=5),
        drop_last=True,
        **loader_options(workers),
    )


class Recorder(pl.LightningModule):
    """A module that records the samples of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: Seen = []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.seen.append(list(zip(batch["label"].tolist(), batch["row"].tolist(), strict=True)))
        return self.weight**2

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Interrupt(pl.Callback):
    """Save a checkpoint at `hook` of the given step, and raise after it."""

    def __init__(self, hook: str, step: int, file: Path) -> None:
        self.step, self.file = step, file
        setattr(self, hook, self.interrupt)

    def interrupt(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.file)
            raise InterruptedError


def fit(workers: int, folder: Path, *callbacks: pl.Callback, resume: Path | None = None) -> Seen:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    module = Recorder()
    try:
        loaders = make_loader(workers), torch.utils.data.DataLoader([0, 1])
        trainer.fit(module, *loaders, ckpt_path=resume, weights_only=True)
    except InterruptedError:
        pass
    return module.seen


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The samples of a training without interruption."""
    seen = fit(0, tmp_path_factory.mktemp("complete"))
    assert [batch[0][0] for batch in seen] == [0] * 5 + [1] * 5 + [2] * 5
    return seen


@pytest.mark.parametrize(
    ("hook", "step", "workers"),
    [
        ("on_train_batch_end", 1, 0),
        ("on_train_batch_end", 8, 0),
        ("on_train_batch_end", 8, 2),
        ("on_validation_end", 5, 0),
        ("on_validation_end", 10, 2),
        ("on_train_epoch_end", 5, 0),
        ("on_train_epoch_end", 5, 2),
    ],
)
def test_training_interrupted_and_resumed_sees_the_remaining_samples_in_order(
    hook: str, step: int, workers: int, complete: Seen, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "last.ckpt"
    assert fit(workers, tmp_path, Interrupt(hook, step, checkpoint)) == complete[:step]
    assert fit(workers, tmp_path, resume=checkpoint) == complete[step:]


@pytest.mark.parametrize("workers", [0, 2])
def test_state_dict_counts_yielded_batches_not_those_read_ahead(workers: int) -> None:
    loader = make_loader(workers)
    loader.sampler.set_epoch(3)
    batches = iter(loader)
    rows = [next(batches)["row"].tolist() for _ in range(2)]
    state = loader.state_dict()
    assert state == {"epoch": 3, "batches": 2}
    rows += [batch["row"].tolist() for batch in batches]
    del batches
    resumed = make_loader(workers)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert [batch["row"].tolist() for batch in resumed] == rows[2:]
    assert resumed.state_dict() == loader.state_dict() == {"epoch": 3, "batches": 5}
    resumed.load_state_dict(loader.state_dict())
    assert resumed.sampler.epoch == 4 and len(list(resumed)) == 5


def signal_worker(row: int) -> np.ndarray:
    """Send the process what terminals and schedulers send to a whole process group."""
    assert get_worker_info() is not None
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        os.kill(os.getpid(), getattr(signal, name))
    return read_pixel(row)


def test_workers_leave_signals_to_the_parent() -> None:
    dataset = ImageDataset(make_table(), geometry=Geometry(crop=1), read=signal_worker)
    sampler = SequentialDistributedSampler(ROWS)
    loader = eval_loader(dataset, workers=1, sampler=sampler, batch_size=BATCH_SIZE)
    rows = [row for batch in loader for row in batch["row"].tolist()]
    assert rows == list(range(ROWS))
