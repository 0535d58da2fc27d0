"""The published plateau rule against a plain reading of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from genspot.detector.plateau import Plateau
from helpers.runs import assert_same_training
from helpers.settings import tiny
from helpers.tasks import run_task


def make_plateau(overwrite_best: bool = False) -> Plateau:
    """Return the rule of the published experiment."""
    return Plateau(
        patience=5,
        min_delta=0.001,
        min_delta_after_drop=0.002,
        factor=0.1,
        min_lr=1e-6,
        overwrite_best=overwrite_best,
    )


class FakeTrainer:
    """What a Trainer shows to a callback."""

    def __init__(self, plateau: Plateau) -> None:
        parameter = torch.nn.Parameter(torch.zeros(1))
        self.optimizers = [torch.optim.Adam([parameter], lr=1e-4)]
        self.callback_metrics: dict[str, float] = {}
        self.checkpoint_callbacks: list[ModelCheckpoint] = []
        self.should_stop = False
        self.strategy = SimpleNamespace(reduce_boolean_decision=bool)
        self.plateau = plateau

    def end_epoch(self, accuracy: float) -> float:
        """Return the learning rate after an epoch with a validation `accuracy`."""
        self.callback_metrics["val/acc"] = accuracy
        self.plateau.on_validation_end(self, SimpleNamespace())  # type: ignore[arg-type]
        return float(self.optimizers[0].param_groups[0]["lr"])


def test_plateau_of_a_flat_accuracy_drops_every_sixth_epoch_and_ends() -> None:
    trainer, rates = FakeTrainer(make_plateau()), []
    while not trainer.should_stop:
        rates.append(trainer.end_epoch(0.9))
    # The first epoch after a start or a drop is the best so far; five more stall.
    assert len(rates) == 18
    trained_at = [1e-4, *rates[:-1]]
    assert trained_at == pytest.approx([1e-4] * 6 + [1e-5] * 6 + [1e-6] * 6)


def test_plateau_counts_improvements_of_a_tenth_of_a_percent() -> None:
    trainer = FakeTrainer(make_plateau())
    for accuracy in (0.5, 0.5009, 0.5009, 0.5009, 0.501):  # the fifth reaches it
        trainer.end_epoch(accuracy)
    rates = [trainer.end_epoch(0.5019) for _ in range(5)]
    assert rates == pytest.approx([1e-4] * 4 + [1e-5])


def test_plateau_after_a_drop_counts_improvements_of_two_tenths() -> None:
    trainer = FakeTrainer(make_plateau())
    for _ in range(6):
        trainer.end_epoch(0.5)
    rates = [trainer.end_epoch(0.5), *(trainer.end_epoch(0.5015) for _ in range(4))]
    rates += [trainer.end_epoch(0.502)]  # reaches it in the last epoch before the next drop
    rates += [trainer.end_epoch(0.5) for _ in range(5)]
    assert rates == pytest.approx([1e-5] * 10 + [1e-6])


@pytest.mark.parametrize("epochs", [0, 3, 6, 8, 18])
def test_plateau_resumes_where_it_was(epochs: int) -> None:
    """Killed after its end, it must not train on; Lightning does not keep `should_stop`."""
    trainer = FakeTrainer(make_plateau())
    for _ in range(epochs):
        trainer.end_epoch(0.5)
    state = trainer.plateau.state_dict()
    resumed = FakeTrainer(make_plateau())
    resumed.optimizers = trainer.optimizers
    resumed.plateau.load_state_dict(state)
    checkpoint = {"callbacks": {resumed.plateau.state_key: state}}
    resumed.plateau.on_load_checkpoint(resumed, None, checkpoint)  # type: ignore[arg-type]
    assert resumed.should_stop == (epochs == 18)
    while not resumed.should_stop:
        resumed.end_epoch(0.5)
        epochs += 1
    assert epochs == 18


@pytest.mark.parametrize("overwrite", [False, True])
def test_plateau_can_replace_the_best_checkpoint_after_a_drop(overwrite: bool) -> None:
    trainer = FakeTrainer(make_plateau(overwrite_best=overwrite))
    checkpoint = ModelCheckpoint(monitor="val/acc", mode="max")
    checkpoint.best_k_models = {"best.ckpt": torch.tensor(0.9)}
    checkpoint.kth_best_model_path = "best.ckpt"
    checkpoint.best_model_score = torch.tensor(0.9)
    trainer.checkpoint_callbacks = [checkpoint]

    def replaced() -> bool:
        return bool(checkpoint.check_monitor_top_k(trainer, torch.tensor(0.3)))  # type: ignore[arg-type]

    for _ in range(6):
        trainer.end_epoch(0.9)
    assert not replaced()
    trainer.end_epoch(0.3)  # the first epoch after the drop
    assert replaced() == overwrite


def test_training_that_the_plateau_ended_is_only_tested_again(sets: Path, tmp_path: Path) -> None:
    """It was killed before its report."""
    changed = ("schedule=quick", "schedule.max_epochs=2")
    overrides = [override for override in tiny(sets) if override not in changed]
    overrides += [
        "schedule=paper",
        "callbacks.plateau.patience=1",
        "callbacks.plateau.min_lr=5e-5",
    ]
    overrides += ["schedule.batch_size=8"]
    whole, killed = (run_task(*overrides, folder=tmp_path / name) for name in ("whole", "killed"))
    for name in ("metrics.json", "report.html"):
        (killed / name).unlink()
    curves = killed / "metrics.csv"  # whose last row has the results
    curves.write_text("\n".join(curves.read_text().splitlines()[:-1]) + "\n")
    run_task(*overrides, folder=killed)
    assert_same_training(killed, whole)
