"""The published plateau rule against a plain reading of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from genspot.detector.plateau import Plateau
from helpers.runs import assert_same_training
from helpers.settings import tiny
from helpers.tasks import run_task


class FakeTrainer:
    """What a Trainer shows to the published rule."""

    def __init__(self, overwrite_best: bool = False) -> None:
        parameter = torch.nn.Parameter(torch.zeros(1))
        self.optimizers = [torch.optim.Adam([parameter], lr=1e-4)]
        self.callback_metrics: dict[str, float] = {}
        self.checkpoint_callbacks: list[ModelCheckpoint] = []
        self.should_stop = False
        self.strategy = SimpleNamespace(reduce_boolean_decision=bool)
        self.plateau = Plateau(
            patience=5,
            min_delta=0.001,
            min_delta_after_drop=0.002,
            factor=0.1,
            min_lr=1e-6,
            overwrite_best=overwrite_best,
        )

    def end_epoch(self, accuracy: float) -> float:
        """Return the learning rate after an epoch with a validation `accuracy`."""
        self.callback_metrics["val/acc"] = accuracy
        self.plateau.on_validation_end(self, None)  # type: ignore[arg-type]
        return float(self.optimizers[0].param_groups[0]["lr"])


# The first epoch after a start or a drop is the best so far; five more without an improvement
# lead to a drop.
@pytest.mark.parametrize(
    ("accuracies", "rates"),
    [
        ([0.9] * 17, [1e-4] * 5 + [1e-5] * 6 + [1e-6] * 6),
        # The fifth is a tenth of a percent better.
        ([0.5] + [0.5009] * 3 + [0.501] + [0.5019] * 5, [1e-4] * 9 + [1e-5]),
        # After a drop, it takes two tenths: the twelfth reaches them.
        ([0.5] * 7 + [0.5015] * 4 + [0.502] + [0.5] * 5, [1e-4] * 5 + [1e-5] * 11 + [1e-6]),
    ],
)
def test_plateau_drops_as_published(accuracies: list[float], rates: list[float]) -> None:
    trainer = FakeTrainer()
    assert [trainer.end_epoch(accuracy) for accuracy in accuracies] == pytest.approx(rates)


@pytest.mark.parametrize("epochs", [0, 3, 6, 8])
def test_plateau_of_a_flat_accuracy_ends_after_18_epochs_also_when_resumed(epochs: int) -> None:
    trainer, resumed = FakeTrainer(), FakeTrainer()
    for _ in range(epochs):
        trainer.end_epoch(0.5)
    state = trainer.plateau.state_dict()
    resumed.optimizers = trainer.optimizers
    resumed.plateau.load_state_dict(state)
    while not resumed.should_stop:
        resumed.end_epoch(0.5)
        epochs += 1
    assert epochs == 18


@pytest.mark.parametrize("overwrite", [False, True])
def test_plateau_can_replace_the_best_checkpoint_after_a_drop(overwrite: bool) -> None:
    trainer: Any = FakeTrainer(overwrite)
    checkpoint = ModelCheckpoint(monitor="val/acc", mode="max")
    checkpoint.best_k_models = {"best.ckpt": torch.tensor(0.9)}
    checkpoint.kth_best_model_path = "best.ckpt"
    checkpoint.best_model_score = torch.tensor(0.9)
    trainer.checkpoint_callbacks = [checkpoint]
    for _ in range(6):
        trainer.end_epoch(0.9)
    assert not checkpoint.check_monitor_top_k(trainer, torch.tensor(0.3))
    trainer.end_epoch(0.3)  # the first epoch after the drop
    assert bool(checkpoint.check_monitor_top_k(trainer, torch.tensor(0.3))) == overwrite


def test_training_that_the_plateau_ended_is_only_tested_again(sets: Path, tmp_path: Path) -> None:
    """It was killed before its report."""
    overrides = [*tiny(sets), "schedule=paper", "schedule.max_epochs=9"]
    overrides += ["callbacks.plateau.patience=1", "callbacks.plateau.min_lr=5e-5"]
    whole, killed = (run_task(*overrides, folder=tmp_path / name) for name in ("whole", "killed"))
    for name in ("metrics.json", "report.html"):
        (killed / name).unlink()
    run_task(*overrides, folder=killed)
    assert_same_training(killed, whole)
