"""Distillation: the student's patches within the teacher's, by a plain loop; what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genspot.detector.backbones import BACKBONES
from genspot.detector.distillation import Distillation, average_patches
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.metadata import IMAGENET
from genspot.detector.network import DetectorNetwork
from genspot.detector.patches import PatchBackbone
from helpers.errors import error_of


def network_of(name: str, **settings: Any) -> DetectorNetwork:
    return DetectorNetwork(Pixels(**IMAGENET), BACKBONES.build({"name": name, **settings}))


class Patches(PatchBackbone):
    """A backbone that is only asked for the size and stride of its patches."""


def test_students_patches_are_averaged_within_those_of_the_teacher() -> None:
    student, teacher = Patches(5, 2), Patches(9, 8)
    rng = np.random.default_rng(0)
    for height, width in ((9, 9), (33, 50), (24, 64)):
        sides = [(side - student.patch_size) // 2 + 1 for side in (height, width)]
        logits = rng.normal(size=(2, *sides))
        rows, columns = ((side - teacher.patch_size) // 8 + 1 for side in (height, width))
        expected = np.zeros((2, rows, columns))
        for row in range(rows):
            for column in range(columns):
                inside = [
                    logits[:, i, j]
                    for i in range(sides[0])
                    for j in range(sides[1])
                    if 8 * row <= 2 * i
                    and 2 * i + 5 <= 8 * row + 9
                    and 8 * column <= 2 * j
                    and 2 * j + 5 <= 8 * column + 9
                ]
                assert len(inside) == 9
                expected[:, row, column] = np.mean(inside, axis=0)
        found = average_patches(torch.from_numpy(logits), student, teacher)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [9, 16, 17, 40, 63])
def test_maps_of_student_and_teacher_have_one_size(side: int) -> None:
    images = torch.randint(0, 256, (2, side, side + 5, 3), dtype=torch.uint8)
    loss = Distillation(network_of("ladeda"))(network_of("tiny_ladeda"), images, torch.zeros(2))
    assert loss.isfinite() and loss.requires_grad


def test_distillation_trains_the_student_alone_and_lowers_the_difference() -> None:
    torch.manual_seed(0)
    teacher, student = network_of("tiny_ladeda"), network_of("tiny_ladeda")
    images = torch.randint(0, 256, (4, 33, 33, 3), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 0, 1])
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    distil = Distillation(teacher)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = distil(student, images, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert all(value.grad is None for value in teacher.parameters())


@pytest.mark.parametrize(
    ("teacher", "student", "expected"),
    [
        ("small_cnn", "tiny_ladeda", "schedule.teacher: its backbone does not score patches"),
        ("ladeda", "small_cnn", "model: its backbone does not score patches"),
        ("tiny_ladeda", "ladeda", "has patches of 5 pixels every 2, which the model's, of 9"),
    ],
)
def test_networks_that_do_not_fit_are_refused(teacher: str, student: str, expected: str) -> None:
    first, second = (
        network_of(name, **({"width": 2} if name == "small_cnn" else {}))
        for name in (teacher, student)
    )
    images = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    message = error_of(lambda: Distillation(first)(second, images, torch.zeros(1)))
    assert expected in message


def test_images_below_one_patch_of_the_teacher_are_refused() -> None:
    distil = Distillation(network_of("ladeda"))
    images = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    message = error_of(lambda: distil(network_of("tiny_ladeda"), images, torch.zeros(1)))
    assert "give at least 9 pixels" in message


def test_inputs_of_other_sizes_are_refused() -> None:
    class Halved(Pixels):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return super().forward(pixels)[..., ::2, ::2]

    teacher = DetectorNetwork(Halved(**IMAGENET), BACKBONES.build({"name": "ladeda"}))
    images = torch.zeros(1, 40, 40, 3, dtype=torch.uint8)
    distil = Distillation(teacher)
    message = error_of(lambda: distil(network_of("tiny_ladeda"), images, torch.zeros(1)))
    assert "give both the same input representation" in message
