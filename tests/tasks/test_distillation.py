"""Trainings from a teacher's patch logits, and what they leave: the whole way of Tiny-LaDeDa."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import genspot
from genspot.common.geometry import Geometry
from genspot.detector.network import build_network
from genspot.detector.settings import ModelSettings
from genspot.runtime.shutdown import ShutdownRequested
from helpers.detectors import make_metadata, save_checkpoint
from helpers.errors import error_of
from helpers.fault_injection import signal_in_training
from helpers.runs import assert_same_training, read_csv, read_metrics
from helpers.settings import tiny
from helpers.tasks import run_task

NPR = {"name": "npr", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def teacher_in(folder: Path, backbone: str = "ladeda", protocol: str = "none") -> Path:
    """Save a detector with random weights, whose logits are of a usual size, into `folder`."""
    sizes = {"width": 2} if backbone == "small_cnn" else {}
    geometry = Geometry(None, 32)
    model = ModelSettings(
        backbone, NPR, {"name": backbone, **sizes}, train=geometry, test=geometry
    )
    torch.manual_seed(0)
    network = build_network(model)
    if backbone == "ladeda":
        network.backbone.fc.weight.data.mul_(0.01)
    metadata = make_metadata(model, protocol=protocol)
    return save_checkpoint(folder / f"{backbone}.ckpt", metadata, network.state_dict())


def settings(sets: Path, teacher: Path | None, *others: str) -> list[str]:
    """Return the overrides of a training of two epochs of Tiny-LaDeDa on crops of 32 pixels."""
    chosen = [one for one in tiny(sets) if one not in ("model=small", "schedule=quick")]
    sizes = ["model.train={resize: null, crop: 32}", "model.test={resize: null, crop: 32}"]
    named = [f"schedule.teacher={teacher}"] if teacher else []
    return ["recipe=tiny_ladeda", *chosen, *sizes, *named, *others]


def test_student_learns_from_the_teacher_and_has_a_map_and_a_cost(
    sets: Path, tmp_path: Path
) -> None:
    teacher = teacher_in(tmp_path)
    folder = run_task(*settings(sets, teacher), folder=tmp_path / "run")
    losses = [float(row["train/loss"]) for row in read_csv(folder / "metrics.csv")[:1]]
    assert losses and np.isfinite(losses).all()
    state = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    assert not [key for key in state if "teacher" in key]  # it is no part of the detector
    found = read_metrics(folder)["network"]
    assert (found["parameters"], found["height"], found["width"]) == (1297, 32, 32)
    # 30 × 30 places behind the first 3 × 3, 14 × 14 behind the second.
    products = 32 * 32 * 24 + 30 * 30 * (576 + 64) + 14 * 14 * (576 + 8)
    assert found["gflop"] == pytest.approx(products / 1e9, rel=1e-9)
    detector = genspot.load_detector(folder / "best.ckpt")
    image = next((sets / "test").rglob("*.png"))
    patches = detector.patch_logits(image)
    assert (patches.logits.shape, patches.size, patches.stride) == ((14, 14), 5, 2)
    assert patches.logits.dtype == np.float32
    assert patches.logits.mean() == pytest.approx(detector.predict(image).logits[0], abs=1e-5)


def test_interrupted_distillation_continues_to_the_bits_of_a_whole_one(
    sets: Path, tmp_path: Path
) -> None:
    teacher = teacher_in(tmp_path)
    whole = run_task(*settings(sets, teacher), folder=tmp_path / "whole")
    stopped = settings(sets, teacher, *signal_in_training("SIGTERM", 1, 1, folder=tmp_path))
    with pytest.raises(ShutdownRequested):
        run_task(*stopped, folder=tmp_path / "run")
    run_task(*stopped, folder=tmp_path / "run")
    assert_same_training(tmp_path / "run", whole)


def test_teacher_of_another_content_is_no_continuation(sets: Path, tmp_path: Path) -> None:
    teacher = teacher_in(tmp_path)
    chosen = settings(sets, teacher, "schedule.max_epochs=1")
    run_task(*chosen, folder=tmp_path / "run")
    torch.save(torch.load(teacher, weights_only=True) | {"more": 1}, teacher)
    message = error_of(lambda: run_task(*chosen, folder=tmp_path / "run"))
    assert "schedule.teacher holds another content" in message


@pytest.mark.parametrize(
    ("teacher", "others", "expected"),
    [
        (None, [], "schedule.teacher=PATH is needed"),
        ("missing.ckpt", [], "schedule.teacher={folder}/missing.ckpt: no such file"),
        ("small_cnn", [], "schedule.teacher: its backbone does not score patches"),
        ("ladeda", ["schedule.label_smoothing=0.1"], "schedule.label_smoothing=0.1 is of a loss"),
        ("ladeda", ["protocol=jpeg_75"], "was trained with protocol=none, and this training has"),
        ("ladeda", ["model=small"], "model: its backbone does not score patches"),
        ("ladeda", ["model.train.crop=8"], "give at least 9 pixels"),
    ],
)
def test_teacher_that_cannot_teach_is_refused_in_one_line(
    teacher: str | None, others: list[str], expected: str, sets: Path, tmp_path: Path
) -> None:
    path = tmp_path / teacher if teacher else None
    if path and not path.suffix:
        path = teacher_in(tmp_path, str(teacher))
    chosen = settings(sets, path, *others)
    message = error_of(lambda: run_task(*chosen, folder=tmp_path / "run"))
    assert expected.format(folder=tmp_path) in message


def test_detector_without_patches_has_no_map(tmp_path: Path) -> None:
    detector = genspot.load_detector(teacher_in(tmp_path, "small_cnn"))
    message = error_of(lambda: detector.patch_logits(np.zeros((32, 32, 3), dtype=np.uint8)))
    assert "does not score patches" in message and "model=ladeda" in message
