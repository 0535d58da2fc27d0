"""A training that is stopped by a signal: when it ends, and what it saves."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from genspot.detector.graceful_stop import GracefulStop
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS, ShutdownHandler, ShutdownRequested
from helpers.detectors import make_batch, make_detector, make_trainer
from helpers.runs import read_csv

pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 3  # of an epoch


def signal_at(call: int, calls: Iterator[int]) -> Callable[..., None]:
    """Return a hook that sends SIGTERM at its call number `call` of `calls`."""

    def hook(*_: Any) -> None:
        if next(calls) == call:
            signal.raise_signal(signal.SIGTERM)

    return hook


@pytest.fixture
def handler() -> Iterator[ShutdownHandler]:
    """An installed handler; the handlers before it are restored."""
    before = {number: signal.getsignal(number) for number in SHUTDOWN_SIGNALS}
    handler = ShutdownHandler()
    handler.install()
    yield handler
    for number, old in before.items():
        signal.signal(number, old)


def run(
    method: str, handler: ShutdownHandler, folder: Path, gathered: int = 1, **hooks: Any
) -> None:
    """Fit or test until an exception ends it."""
    stop = GracefulStop(handler, folder, before_save=(folder / "before").touch)
    trainer = make_trainer(
        max_epochs=2,
        accumulate_grad_batches=gathered,
        logger=CSVLogger(folder, "", ""),
        log_every_n_steps=1,
        callbacks=[LambdaCallback(**hooks), stop],
        num_sanity_val_steps=0,
    )
    loader: Any = DataLoader([make_batch([0, 1])] * STEPS * gathered, batch_size=None)
    if method == "fit":
        trainer.fit(make_detector(), loader, loader)
    else:
        trainer.test(make_detector(), loader, verbose=False)


# At the end of an epoch, it waits for the checkpoint of ModelCheckpoint, which is not here.
@pytest.mark.parametrize(
    ("hook", "call", "steps", "saves"),
    [
        ("on_train_batch_start", 1, 1, True),
        ("on_train_batch_start", 5, 5, True),
        ("on_train_batch_start", STEPS, STEPS, False),
        ("on_train_batch_start", 2 * STEPS, 2 * STEPS, False),
        ("on_validation_batch_start", 1, STEPS, False),
    ],
    ids=["first step", "second epoch", "last step", "very last step", "validation"],
)
def test_signal_in_a_training_ends_it_after_its_step(
    hook: str, call: int, steps: int, saves: bool, handler: ShutdownHandler, tmp_path: Path
) -> None:
    with pytest.raises(ShutdownRequested, match="SIGTERM"):
        run("fit", handler, tmp_path, **{hook: signal_at(call, itertools.count(1))})
    losses = [row["train/loss"] for row in read_csv(tmp_path / "metrics.csv")]
    assert len(list(filter(None, losses))) == steps
    assert (tmp_path / "before").exists() == (tmp_path / "last.ckpt").exists() == saves
    if saves:
        assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == steps


@pytest.mark.parametrize(("call", "steps"), [(1, 1), (2, 1), (3, 2), (7, 4), (8, 4)])
def test_signal_while_gradients_are_gathered_waits_for_their_step(
    call: int, steps: int, handler: ShutdownHandler, tmp_path: Path
) -> None:
    """Two batches a step, three steps an epoch: a checkpoint has no gradients."""
    signals = {"on_train_batch_start": signal_at(call, itertools.count(1))}
    with pytest.raises(ShutdownRequested, match="SIGTERM"):
        run("fit", handler, tmp_path, gathered=2, **signals)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    batches = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"]
    assert (saved["global_step"], batches) == (steps, 2 * steps)


def test_signal_in_a_test_raises_at_once(handler: ShutdownHandler, tmp_path: Path) -> None:
    calls = itertools.count(1)
    with pytest.raises(ShutdownRequested):
        run("test", handler, tmp_path, on_test_batch_start=signal_at(2, calls))
    assert next(calls) == 3


def test_training_that_fails_leaves_signals_undeferred(
    handler: ShutdownHandler, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        run("fit", handler, tmp_path, on_train_batch_start=lambda *_: 1 / 0)
    with pytest.raises(ShutdownRequested):
        signal.raise_signal(signal.SIGTERM)
