"""The network from bytes to logits: independent computations, chunks, fused batch norms."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torchvision import transforms

from genspot.common.errors import GenspotError
from genspot.detector.backbones.antialiased import antialiased_resnet50
from genspot.detector.backbones.resnet import resnet
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.metadata import IMAGENET, PUBLISHED
from genspot.detector.network import DetectorNetwork, build_network, fuse_batchnorm
from helpers.detectors import make_model
from helpers.errors import error_of


def noise(count: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8)


def count_batchnorms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_published_network_has_the_bits_of_torchvision(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    network = build_network(PUBLISHED.model).eval()
    if layout is torch.contiguous_format:
        network = DetectorNetwork(network.input, network.backbone).eval()
    plain = torchvision.models.resnet50(num_classes=1)
    plain.load_state_dict(network.backbone.state_dict())
    plain = plain.to(memory_format=layout).eval()
    normalise = transforms.Normalize(IMAGENET["mean"], IMAGENET["std"])
    images = noise(3, 70, 64)
    with torch.inference_mode():
        pixels = images.permute(0, 3, 1, 2).contiguous(memory_format=layout)
        expected = plain(normalise(pixels.float() / 255))
        logits = network(images)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, expected.squeeze(1))


@pytest.mark.parametrize("count", [1, 8, 9, 20])
def test_evaluation_in_chunks_gives_one_logit_per_image(count: int) -> None:
    network = build_network(make_model()).eval()
    images = noise(count, 40, 40)
    with torch.inference_mode():
        single = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), single, atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", [lambda: resnet("resnet18"), antialiased_resnet50])
def test_fuse_batchnorm_keeps_the_logits_and_the_network(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = DetectorNetwork(Pixels(**IMAGENET), make()).train()
    with torch.no_grad():
        for _ in range(3):  # statistics of images
            network(noise(8, 64, 64))
    before = copy.deepcopy(network.state_dict())
    fused = fuse_batchnorm(network)
    assert count_batchnorms(fused) < count_batchnorms(network) / 4
    with torch.inference_mode():
        for images in (noise(5, 70, 64), noise(1, 3, 3), noise(1, 1, 90)):
            torch.testing.assert_close(fused(images), network(images), atol=1e-5, rtol=0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_fuse_batchnorm_leaves_what_cannot_be_traced() -> None:
    class Branching(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.sum((1, 2, 3)) if images.sum() > 0 else images.mean((1, 2, 3))

    network = DetectorNetwork(Pixels(**IMAGENET), Branching())
    assert fuse_batchnorm(network) is network


class OneForAll(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean().view(1, 1)


class Named(nn.Module):
    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": images.mean((1, 2, 3))[:, None]}


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        (nn.Identity(), r"shape \(3, 3, 4, 4\) for 3 images"),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), r"shape \(3, 2\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0)), r"shape \(3,\)"),
        (OneForAll(), r"shape \(1, 1\)"),
        (Named(), "dict"),
    ],
    ids=["map", "two", "flat", "one for all", "dict"],
)
def test_backbone_without_one_logit_per_image_is_refused(
    backbone: nn.Module, expected: str
) -> None:
    network = DetectorNetwork(Pixels(**IMAGENET), backbone)
    with pytest.raises(GenspotError, match=rf"returns {expected}.*one logit per image"):
        network(noise(3, 4, 4))


def test_trainable_head_without_a_linear_layer_is_refused() -> None:
    layers = nn.Sequential(nn.Linear(3, 2), nn.Conv2d(3, 1, 1))
    with pytest.raises(GenspotError, match=r"model\.trainable=head: the backbone has no linear"):
        DetectorNetwork(Pixels(**IMAGENET), layers, trainable="head")


@pytest.mark.parametrize(
    ("part", "layer"), [("backbone", nn.LazyLinear(1)), ("input", nn.LazyBatchNorm2d())]
)
def test_lazy_layers_are_refused(part: str, layer: nn.Module) -> None:
    parts = {"input": nn.Identity(), "backbone": nn.Identity(), part: nn.Sequential(layer)}
    assert f"model.{part} has lazy layers" in error_of(lambda: DetectorNetwork(**parts))
