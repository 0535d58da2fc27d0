"""The Lightning module: losses, validation metrics, and what the optimizer trains."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn import functional
from torch.utils.data import DataLoader

from genspot.detector.module import Detector
from helpers.detectors import (
    make_batch,
    make_detector,
    make_model,
    make_trainer,
    make_unreadable_batch,
)


def test_training_step_with_an_infinite_loss_gives_nan() -> None:
    """One rank's infinite loss may leave it a finite gradient; NaN reaches those of all ranks."""
    detector = make_detector()
    with torch.no_grad():
        next(detector.parameters()).fill_(torch.inf)
    loss = detector.training_step(make_batch([0, 1]), 0)
    assert loss is not None
    assert loss.isnan()


def test_validation_metrics_are_those_of_all_its_images() -> None:
    batches = [make_batch([0, 1, 2, 3], 1), make_unreadable_batch([4]), make_batch([5, 6, 7], 2)]
    detector = make_detector()
    loader: Any = DataLoader(batches, batch_size=None)
    (metrics,) = make_trainer().validate(detector, loader, verbose=False)
    readable = [batch for batch in batches if batch["image"] is not None]
    labels = torch.cat([batch["label"] for batch in readable])
    with torch.inference_mode():
        logits = torch.cat([detector.eval()(batch["image"]) for batch in readable])
    loss = functional.binary_cross_entropy_with_logits(logits, labels.float())
    assert metrics["val/loss"] == pytest.approx(loss.item(), abs=1e-6)
    assert metrics["val/acc"] == pytest.approx(((logits > 0) == labels).float().mean().item())
    assert metrics["val/ap"] == pytest.approx(average_precision_score(labels, logits), abs=1e-6)


def test_training_of_the_head_moves_the_head_alone_and_schedules_all_steps() -> None:
    """In Lightning, which does not call `train()` before the first epoch."""
    backbone = {"name": "resnet", "arch": "resnet18"}
    network = make_detector(make_model(backbone=backbone, trainable="head")).network
    before = copy.deepcopy(network.state_dict())
    sgd = functools.partial(torch.optim.SGD, lr=0.1)
    cycle = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1)
    batches = [make_batch([0, 1, 2, 3], seed=seed, side=32) for seed in range(2)]
    loaders = [DataLoader(batches, batch_size=None) for _ in range(2)]  # type: ignore[arg-type]
    trainer = make_trainer(max_epochs=2)
    trainer.fit(Detector(network, sgd, cycle), *loaders)
    after = network.state_dict()
    moved = {key for key in before if not torch.equal(after[key], before[key])}
    assert moved == {"backbone.fc.weight", "backbone.fc.bias"}
    (optimizer,) = trainer.optimizers
    trained = [value for group in optimizer.param_groups for value in group["params"]]
    assert [value.shape for value in trained] == [(1, 512), (1,)]
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == 4
