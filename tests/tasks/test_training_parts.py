"""Trainings with each schedule and part: they learn, and they continue to the same bits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from genspot.runtime.shutdown import ShutdownRequested
from helpers.errors import error_of
from helpers.fault_injection import signal_in_training
from helpers.runs import assert_same_training, read_csv
from helpers.settings import tiny
from helpers.tasks import run_task

# Beside each, the batch before which a signal comes: in the second epoch, in the middle of a step.
PARTS = {
    "step": (["schedule=step", "schedule.lr_scheduler.every=1"], 1),
    "warmup_cosine": (["schedule=warmup_cosine"], 1),
    "constant": (["schedule=constant", "schedule/optimizer=sgd"], 1),
    "adamw": (["schedule/optimizer=adamw", "schedule.label_smoothing=0.1"], 1),
    "balanced": (["schedule.balanced=true", "schedule.class_weights=[2,1]"], 1),
    "gathered": (["trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.5"], 0),
    "frozen": (
        [
            "schedule.frozen=[backbone.0.*,backbone.1.*]",
            "schedule.parameter_groups={head: {parameters: backbone.8.*, lr: 1e-2}}",
            "schedule=constant",
        ],
        1,
    ),
    "geometry": (["aug.flip=0", "+model.train.position=centre", "aug=safe"], 1),
}
# trainer=auto, in the precision of CPUs with fast bfloat16.
AUTO = ["trainer=auto", "trainer.accelerator=cpu", "trainer.precision=bf16-mixed"]


def settings(sets: Path, name: str) -> list[str]:
    chosen = [one for one in tiny(sets) if one not in ("schedule=quick", "trainer=cpu")]
    parts, _ = PARTS[name]
    schedule = [] if any(one.startswith("schedule=") for one in parts) else ["schedule=quick"]
    return [*chosen, *schedule, *AUTO, *parts]


@pytest.mark.parametrize("name", sorted(PARTS))
def test_interrupted_training_continues_to_the_bits_of_a_whole_one(
    name: str, sets: Path, tmp_path: Path
) -> None:
    whole = run_task(*settings(sets, name), folder=tmp_path / "whole")
    signal = signal_in_training("SIGTERM", epoch=1, batch=PARTS[name][1], folder=tmp_path)
    stopped = [*settings(sets, name), *signal]
    with pytest.raises(ShutdownRequested):
        run_task(*stopped, folder=tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    steps = torch.load(whole / "last.ckpt", weights_only=True)["global_step"]
    assert steps / 2 < state["global_step"] < steps
    run_task(*stopped, folder=tmp_path / "run")
    assert_same_training(tmp_path / "run", whole)


def test_gathered_training_takes_half_of_the_steps(sets: Path, tmp_path: Path) -> None:
    """Of 34 images in batches of 8: four batches, two steps an epoch."""
    folder = run_task(*settings(sets, "gathered"), folder=tmp_path)
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 4


def test_frozen_part_of_a_training_keeps_its_weights_and_statistics(
    sets: Path, tmp_path: Path
) -> None:
    folder = run_task(*settings(sets, "frozen"), folder=tmp_path / "frozen")
    other = run_task(
        *settings(sets, "frozen"), "schedule.optimizer.lr=1e-3", folder=tmp_path / "other"
    )
    first, second = (
        torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (folder, other)
    )
    moved = {key for key in first if not torch.equal(first[key], second[key])}
    assert not any(key.startswith(("network.backbone.0.", "network.backbone.1.")) for key in moved)
    assert {"network.backbone.3.weight", "network.backbone.4.running_mean"} <= moved
    assert torch.equal(first["network.backbone.1.running_mean"], torch.zeros(8))


def test_last_epoch_is_kept_where_best_monitors_nothing(sets: Path, tmp_path: Path) -> None:
    """As NPR's recipe does."""
    run_task(*tiny(sets), "callbacks.best.monitor=null", folder=tmp_path)
    states = [
        torch.load(tmp_path / name, weights_only=True) for name in ("best.ckpt", "last.ckpt")
    ]
    assert states[0]["epoch"] == states[1]["epoch"] == 1
    for key, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][key])


def test_learning_rates_of_a_run_are_those_of_its_schedule(sets: Path, tmp_path: Path) -> None:
    monitor = "{_target_: pytorch_lightning.callbacks.LearningRateMonitor}"
    run_task(*settings(sets, "step"), f"+callbacks.rates={monitor}", folder=tmp_path)
    rates = [float(row["lr-Adam"]) for row in read_csv(tmp_path / "metrics.csv") if row["lr-Adam"]]
    assert sorted(set(rates)) == pytest.approx([0.9e-4, 1e-4])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("schedule.frozen=[fc.*]", "schedule.frozen: fc.* matches no parameter that is trained"),
        ("schedule.frozen=['*']", "leaves no parameter to train"),
        (
            "schedule.parameter_groups={a: {parameters: x.*, lr: 1e-3}}",
            "schedule.parameter_groups.a.parameters: x.* matches no parameter",
        ),
    ],
)
def test_pattern_that_fits_no_parameter_is_refused_before_images_are_read(
    override: str, expected: str, sets: Path, tmp_path: Path
) -> None:
    chosen = [*tiny(sets), "schedule=constant", override]
    message = error_of(partial(run_task, folder=tmp_path), *chosen)
    assert expected in message
    assert not (tmp_path / "config.yaml").exists()
