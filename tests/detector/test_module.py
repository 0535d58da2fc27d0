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


def fit(detector: Detector, batches: list[dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """Train on `batches` for an epoch; return the weights."""
    loaders = [DataLoader(batches, batch_size=None) for _ in range(2)]  # type: ignore[arg-type]
    make_trainer(max_epochs=1, **arguments).fit(detector, *loaders)
    return detector.network.state_dict()


def test_gathered_batches_give_the_step_of_a_large_batch() -> None:
    """For a network without batch norms, but for rounding: the sums have another order."""
    small = [make_batch([4 * n + row for row in range(4)], seed=n) for n in range(4)]
    large = [
        {
            key: torch.cat([small[first][key], small[first + 1][key]])
            for key in ("image", "label", "row", "padded")
        }
        | {"unreadable": []}
        for first in (0, 2)
    ]
    gathered = fit(make_detector(), small, accumulate_grad_batches=2)
    whole = fit(make_detector(), large)
    apart = fit(make_detector(), small)
    for key, value in whole.items():
        torch.testing.assert_close(gathered[key], value, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(apart["backbone.2.weight"], whole["backbone.2.weight"], rtol=1e-4)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("algorithm", [None, "value"])
def test_gradients_of_the_fused_rule_are_clipped_in_every_precision(
    algorithm: str | None, precision: str
) -> None:
    """Against a limit that no gradient reaches, and against one that is next to nothing."""
    batches = [make_batch([0, 1, 2, 3])]
    moved = {}
    for limit in (None, 1e6, 1e-3):
        detector = make_detector()
        detector.make_optimizer = functools.partial(torch.optim.SGD, lr=1.0, fused=True)
        before = copy.deepcopy(detector.network.state_dict())
        clipping = {"gradient_clip_val": limit, "gradient_clip_algorithm": algorithm}
        after = fit(detector, batches, precision=precision, **clipping)
        moved[limit] = torch.cat([(after[key] - before[key]).flatten() for key in after])
    assert torch.equal(moved[1e6], moved[None])
    largest = moved[1e-3].abs().max() if algorithm else moved[1e-3].norm()
    assert largest.item() == pytest.approx(1e-3, rel=1e-3)
    assert moved[None].norm() > 0.01


def test_adam_of_the_schedules_is_clipped_under_bfloat16() -> None:
    detector = make_detector()
    detector.make_optimizer = functools.partial(torch.optim.Adam, lr=1e-2, fused=True)
    after = fit(detector, [make_batch([0, 1])], precision="bf16-mixed", gradient_clip_val=1.0)
    assert all(value.isfinite().all() for value in after.values())
