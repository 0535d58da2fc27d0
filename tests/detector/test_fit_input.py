"""Statistics of an input representation, fitted before the first step of a training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import scipy.fft
import torch
from torch.utils.data import DataLoader

from genspot.common.errors import GenspotError
from genspot.detector import fit_input
from genspot.detector.fit_input import FitInput
from genspot.detector.inputs.dct_log import LogCosine
from genspot.detector.module import Batch, Detector
from helpers.detectors import (
    make_batch,
    make_detector,
    make_model,
    make_trainer,
    make_unreadable_batch,
)

FITTED = make_model(input={"name": "dct_log", "size": 8})
BATCHES = [make_batch([0, 1, 2], 1), make_unreadable_batch([3]), make_batch([4, 5], 2)]


class Batches:
    """Batches, and how often they were asked for."""

    def __init__(self, batches: list[Batch] = BATCHES) -> None:
        self.batches, self.asked = batches, 0

    def __call__(self) -> Iterable[Batch]:
        self.asked += 1
        return iter(self.batches)


class Statistics(pl.Callback):
    """The statistics as they are when the first step begins."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any
    ) -> None:
        state = module.network.input.state_dict()
        self.state = {key: value.clone() for key, value in state.items()}


def train(detector: Detector, batches: Batches, **arguments: Any) -> pl.Trainer:
    trainer = make_trainer(max_epochs=1, callbacks=[FitInput(batches), *arguments.pop("more", [])])
    loader = DataLoader([make_batch([0, 1], 7)], batch_size=None)  # type: ignore[arg-type]
    trainer.fit(detector, loader, **arguments)
    return trainer


def test_statistics_are_those_of_all_readable_images_before_the_first_step() -> None:
    seen = Statistics()
    train(make_detector(FITTED), Batches(), more=[seen])
    images = np.concatenate([batch["image"] for batch in BATCHES if batch["image"] is not None])
    planes = images.transpose(0, 3, 1, 2).astype(np.float64)
    values = np.log(np.abs(scipy.fft.dctn(planes, axes=(-2, -1), norm="ortho")) + 1e-12)
    assert seen.state["fitted"]
    # An amplitude near 0 magnifies the rounding of float32.
    np.testing.assert_allclose(seen.state["mean"].numpy(), values.mean(0), atol=5e-3)
    np.testing.assert_allclose(seen.state["std"].numpy(), values.std(0), atol=5e-3)


def test_statistics_of_weights_that_were_loaded_are_kept() -> None:
    detector, batches = make_detector(FITTED), Batches()
    part = detector.network.input
    assert isinstance(part, LogCosine)
    part.update(BATCHES[0]["image"].permute(0, 3, 1, 2))
    part.finish()
    before = part.mean.clone()
    train(detector, batches)
    assert batches.asked == 0
    assert torch.equal(part.mean, before)


def test_statistics_of_a_resumed_training_are_kept(tmp_path: Any) -> None:
    trainer = train(make_detector(FITTED), Batches())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    detector, other = make_detector(FITTED), Batches([make_batch([0, 1], 9)])
    train(detector, other, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert other.asked == 0
    assert torch.equal(detector.network.input.mean, trainer.lightning_module.network.input.mean)  # type: ignore[union-attr]


def test_other_input_representations_read_no_images() -> None:
    batches = Batches()
    train(make_detector(), batches)
    assert batches.asked == 0


def test_training_set_without_a_readable_image_is_refused() -> None:
    batches = Batches([make_unreadable_batch([0, 1])])
    with pytest.raises(GenspotError, match=r"no training image could be read \(2 tried\)"):
        train(make_detector(FITTED), batches)


def test_statistics_of_several_processes_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = [BATCHES[0]], BATCHES[1:]
    part = LogCosine(8)
    part.update(second[1]["image"].permute(0, 3, 1, 2))
    other = (2, 1, part.sums)  # what the other process has gathered
    monkeypatch.setattr(fit_input, "gather", lambda own: [own, other])
    shared, alone = make_detector(FITTED), make_detector(FITTED)
    train(shared, Batches(first))
    monkeypatch.undo()
    train(alone, Batches())
    for name in ("mean", "std"):
        found, expected = (getattr(one.network.input, name) for one in (shared, alone))
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
