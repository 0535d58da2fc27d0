"""Losses against PyTorch's cross-entropy over two logits, and against a plain loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from genspot.common.errors import GenspotError
from genspot.detector.loss import CrossEntropy
from genspot.detector.network import DetectorNetwork
from helpers.detectors import make_batch, make_detector


def setting() -> tuple[DetectorNetwork, torch.Tensor, torch.Tensor]:
    batch = make_batch(list(range(7)))
    return make_detector().network, batch["image"], batch["label"]


def test_default_is_the_binary_cross_entropy_to_the_bit() -> None:
    network, images, labels = setting()
    expected = functional.binary_cross_entropy_with_logits(network(images), labels.float())
    assert torch.equal(CrossEntropy()(network, images, labels), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_is_that_of_two_logits(smoothing: float) -> None:
    network, images, labels = setting()
    logits = network(images)
    two = torch.stack([torch.zeros_like(logits), logits], dim=1)
    expected = functional.cross_entropy(two, labels, label_smoothing=smoothing)
    loss = CrossEntropy(smoothing)(network, images, labels)
    torch.testing.assert_close(loss, expected)


def test_class_weights_multiply_the_losses_of_real_and_fake_images() -> None:
    network, images, labels = setting()
    expected = 0.0
    for logit, label in zip(network(images).tolist(), labels.tolist(), strict=True):
        weight, sign = (3.0, -1) if label else (0.5, 1)
        expected += weight * math.log1p(math.exp(sign * logit)) / len(labels)
    loss = CrossEntropy(class_weights=[0.5, 3.0])(network, images, labels)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert isinstance(network, nn.Module) and loss.requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_smoothing": 1.0}, r"schedule\.label_smoothing=1\.0: give a number from 0"),
        ({"label_smoothing": -0.1}, r"schedule\.label_smoothing=-0\.1"),
        ({"class_weights": [1.0]}, r"schedule\.class_weights=\[1\.0\]: give two numbers"),
        ({"class_weights": [1.0, 0.0]}, r"schedule\.class_weights=\[1\.0, 0\.0\]"),
        ({"class_weights": [1.0, math.inf]}, r"schedule\.class_weights"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(GenspotError, match=message):
        CrossEntropy(**arguments)  # type: ignore[arg-type]
