"""The published plateau rule against a plain reading of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from genspot.detector.plateau import Plateau


def rule(**changes: object) -> Plateau:
    settings = {
        "patience": 5,
        "min_delta": 0.001,
        "min_delta_after_drop": 0.002,
        "factor": 0.1,
        "min_lr": 1e-6,
        "overwrite_best": False,
    }
    return Plateau(**(settings | changes))  # type: ignore[arg-type]


class Training:
    """What a Trainer shows to a callback."""

    def __init__(self, callback: Plateau) -> None:
        parameter = torch.nn.Parameter(torch.zeros(1))
        self.optimizers = [torch.optim.Adam([parameter], lr=1e-4)]
        self.callback_metrics: dict[str, float] = {}
        self.checkpoint_callbacks: list[ModelCheckpoint] = []
        self.should_stop = False
        self.strategy = SimpleNamespace(reduce_boolean_decision=bool)
        self.callback = callback

    def epoch(self, accuracy: float) -> float:
        """The rate after an epoch that ended with `accuracy`."""
        self.callback_metrics["val/acc"] = accuracy
        self.callback.on_validation_end(self, SimpleNamespace())  # type: ignore[arg-type]
        return float(self.optimizers[0].param_groups[0]["lr"])


def test_a_flat_accuracy_drops_the_rate_every_sixth_epoch_and_ends_below_the_lowest() -> None:
    training, rates = Training(rule()), []
    while not training.should_stop:
        rates.append(training.epoch(0.9))
    # The first epoch after a start or a drop is the best so far; five more stall.
    assert len(rates) == 18
    trained_at = [1e-4, *rates[:-1]]
    assert trained_at == pytest.approx([1e-4] * 6 + [1e-5] * 6 + [1e-6] * 6)


def test_an_improvement_must_reach_a_tenth_of_a_percent() -> None:
    training = Training(rule())
    for accuracy in (0.5, 0.5009, 0.5009, 0.5009, 0.501):  # the fifth reaches it
        training.epoch(accuracy)
    assert training.callback.stalled == 0
    for _ in range(4):
        assert training.epoch(0.5019) == 1e-4
    assert training.epoch(0.5019) == pytest.approx(1e-5)


def test_after_a_drop_it_must_reach_two_tenths() -> None:
    callback = rule()
    assert [callback.update(0.5) for _ in range(6)] == [False] * 5 + [True]
    assert not callback.update(0.5)
    assert not callback.update(0.5015)
    assert callback.stalled == 1
    assert not callback.update(0.502)
    assert callback.stalled == 0


def test_state_survives_a_checkpoint() -> None:
    one, other = rule(), rule()
    for accuracy in (0.5, 0.4, 0.4):
        one.update(accuracy)
    other.load_state_dict(one.state_dict())
    assert (
        other.state_dict()
        == one.state_dict()
        == {
            "best": 0.5,
            "stalled": 2,
            "drops": 0,
            "ended": False,
        }
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_quirk_forgets_the_best_checkpoint_after_a_drop(overwrite: bool) -> None:
    training = Training(rule(overwrite_best=overwrite))
    checkpoint = ModelCheckpoint(monitor="val/acc", mode="max")
    checkpoint.best_k_models = {"best.ckpt": torch.tensor(0.9)}
    checkpoint.kth_best_model_path = "best.ckpt"
    checkpoint.best_model_score = torch.tensor(0.9)
    training.checkpoint_callbacks = [checkpoint]
    for _ in range(6):
        training.epoch(0.9)
    assert not checkpoint.check_monitor_top_k(training, torch.tensor(0.3))  # type: ignore[arg-type]
    training.epoch(0.3)  # the first epoch after the drop
    replaced = checkpoint.check_monitor_top_k(training, torch.tensor(0.3))  # type: ignore[arg-type]
    assert bool(replaced) == overwrite


@pytest.mark.parametrize("ended", [False, True])
def test_a_training_that_has_ended_stays_ended_when_it_is_taken_up(ended: bool) -> None:
    """Killed in its test, it must not train on; Lightning does not keep `should_stop`."""
    callback = rule()
    callback.ended = ended
    content = {"callbacks": {callback.state_key: callback.state_dict()}}
    trainer = SimpleNamespace(should_stop=False)
    rule().on_load_checkpoint(trainer, None, content)  # type: ignore[arg-type]
    assert trainer.should_stop is ended
