"""The supervised contrastive loss against plain loops, and beside the cross-entropy."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from genspot.detector.backbones import BACKBONES
from genspot.detector.contrastive import Contrastive, rine_head, supervised_contrastive
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.loss import CrossEntropy
from genspot.detector.network import DetectorNetwork
from helpers.clip import ARCH, BLOCKS, WIDTH, save_encoder
from helpers.errors import error_of


def looped(embedded: list[list[float]], labels: list[int]) -> float:
    """Khosla et al., NeurIPS 2020, equation 2, with a temperature of 0.07."""
    norms = [math.hypot(*row) for row in embedded]
    unit = [[value / norm for value in row] for row, norm in zip(embedded, norms, strict=True)]
    losses = []
    for i, anchor in enumerate(unit):
        powers = {
            a: math.exp(sum(x * y for x, y in zip(anchor, other, strict=True)) / 0.07)
            for a, other in enumerate(unit)
            if a != i
        }
        same = [a for a in powers if labels[a] == labels[i]]
        if same:
            shares = [math.log(powers[p] / sum(powers.values())) for p in same]
            losses.append(-sum(shares) / len(same))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("labels", [[0, 1, 1, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]])
def test_loss_equals_plain_loops(labels: list[int]) -> None:
    embedded = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    loss = supervised_contrastive(embedded, torch.tensor(labels))
    assert loss.item() == pytest.approx(looped(embedded.tolist(), labels), rel=1e-5)


@pytest.mark.parametrize("labels", [[1], [0, 1]])
def test_images_alone_of_their_label_cost_nothing(labels: list[int]) -> None:
    embedded = torch.randn(len(labels), 3, requires_grad=True)
    loss = supervised_contrastive(embedded, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0
    assert embedded.grad is not None and not embedded.grad.any()


def test_loss_is_computed_in_float32_under_autocast() -> None:
    embedded = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    with torch.autocast("cpu", torch.bfloat16):
        loss = supervised_contrastive(embedded, labels)
    assert torch.equal(loss, supervised_contrastive(embedded, labels))


def test_sum_of_both_losses_on_images_and_on_their_features(tmp_path: Path) -> None:
    settings = {"name": "rine", "arch": ARCH, "projection": 8, "layers": 1}
    settings["encoder_weights"] = str(save_encoder(tmp_path / "clip.pth"))
    network = DetectorNetwork(Pixels([0.5] * 3, [0.5] * 3), BACKBONES.build(settings)).eval()
    images = torch.randint(256, (4, 16, 16, 3), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 1, 0])
    features = network.features(images)
    assert features.shape == (4, BLOCKS, WIDTH)
    entropy = functional.binary_cross_entropy_with_logits(network(images), labels.float())
    contrastive = supervised_contrastive(rine_head(network).embed(features), labels)
    for given in (images, features):
        loss = Contrastive(0.3, CrossEntropy())(network, given, labels)
        assert loss.item() == pytest.approx((entropy + 0.3 * contrastive).item(), rel=1e-5)


def test_another_head_is_refused() -> None:
    network = DetectorNetwork(Pixels([0.5] * 3, [0.5] * 3), nn.Flatten())
    assert "model=rine alone" in error_of(rine_head, network)
