"""A training that is stopped by a signal: when it ends, and what it saves."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from genspot.detector.graceful_stop import GracefulStop
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS, ShutdownHandler, ShutdownRequested

STEPS = 3  # of an epoch


class TinyModule(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch).mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.layer(batch)

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SignalAt(pl.Callback):
    """Send SIGTERM in the hook `name`, at its call number `call`."""

    def __init__(self, name: str, call: int) -> None:
        self.calls = 0

        def hook(*_: Any) -> None:
            self.calls += 1
            if self.calls == call:
                signal.raise_signal(signal.SIGTERM)

        setattr(self, name, hook)


@pytest.fixture
def handler() -> Iterator[ShutdownHandler]:
    """An installed handler; the handlers before it are restored."""
    before = {number: signal.getsignal(number) for number in SHUTDOWN_SIGNALS}
    handler = ShutdownHandler()
    handler.install()
    yield handler
    for number, old in before.items():
        signal.signal(number, old)


def run(method: str, handler: ShutdownHandler, folder: Path, fault: pl.Callback) -> list[str]:
    """Fit or test until the signal stops it, and return the calls of `before_save`."""
    saved: list[str] = []
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=CSVLogger(folder, "", ""),
        log_every_n_steps=1,
        callbacks=[fault, GracefulStop(handler, folder, lambda: saved.append("before"))],
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = DataLoader(torch.ones(STEPS, 1))
    with pytest.raises(ShutdownRequested, match="SIGTERM"):
        if method == "fit":
            trainer.fit(TinyModule(), data, data)
        else:
            trainer.test(TinyModule(), data, verbose=False)
    return saved


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", [1, 2, 5])
def test_signal_in_a_step_saves_that_step(
    step: int, handler: ShutdownHandler, tmp_path: Path
) -> None:
    saved = run("fit", handler, tmp_path, SignalAt("on_train_batch_start", step))
    assert saved == ["before"]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == step
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(step))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("hook", "call", "steps"),
    [
        ("on_train_batch_start", STEPS, STEPS),
        ("on_validation_batch_start", 1, STEPS),
        ("on_validation_batch_start", STEPS + 1, 2 * STEPS),
        ("on_train_batch_start", 2 * STEPS, 2 * STEPS),
    ],
    ids=["last step", "validation", "last validation", "very last step"],
)
def test_signal_at_the_end_of_an_epoch_waits_for_its_checkpoint(
    hook: str, call: int, steps: int, handler: ShutdownHandler, tmp_path: Path
) -> None:
    fault = SignalAt(hook, call)
    saved = run("fit", handler, tmp_path, fault)
    assert not saved
    assert not (tmp_path / "last.ckpt").exists()  # ModelCheckpoint writes it, which is not here
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert len(rows) == steps


@pytest.mark.filterwarnings("ignore")
def test_signal_in_a_test_raises_at_once(handler: ShutdownHandler, tmp_path: Path) -> None:
    fault = SignalAt("on_test_batch_start", 2)
    run("test", handler, tmp_path, fault)
    assert fault.calls == 2


@pytest.mark.filterwarnings("ignore")
def test_training_that_fails_leaves_signals_undeferred(
    handler: ShutdownHandler, tmp_path: Path
) -> None:
    class Fail(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        run("fit", handler, tmp_path, Fail())
    with pytest.raises(ShutdownRequested):
        signal.raise_signal(signal.SIGTERM)
