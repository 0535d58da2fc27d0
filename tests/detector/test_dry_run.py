"""Networks tried on black images: what fails on their size, and where bfloat16 is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from genspot.common.geometry import Geometry
from genspot.detector.dry_run import (
    check_network,
    check_trained_network,
    check_training_network,
    find_wrong_bfloat16_gradient,
)
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.metadata import IMAGENET
from genspot.detector.network import DetectorNetwork, build_network
from helpers.detectors import make_model
from helpers.errors import error_of

WHOLE = Geometry(None, None)


def around(backbone: nn.Module) -> DetectorNetwork:
    return DetectorNetwork(Pixels(**IMAGENET), backbone)


def vision_transformer() -> DetectorNetwork:
    return around(
        torchvision.models.VisionTransformer(
            image_size=32,
            patch_size=16,
            num_layers=1,
            num_heads=1,
            hidden_dim=8,
            mlp_dim=8,
            num_classes=1,
        )
    )


def test_network_of_one_size_is_refused_for_whole_images() -> None:
    model = make_model(name="vit")
    check_training_network(vision_transformer(), model, Geometry(None, 32))
    for check in (check_network, check_training_network):
        message = error_of(check, vision_transformer(), model, WHOLE)
        assert "model vit fails on images of 65 × 99 pixels (Wrong image height!" in message
        assert "whole images (crop=none) have any size: give crop=32" in message


def test_network_of_one_size_takes_whole_images_that_are_resized_to_it() -> None:
    model = make_model(train=Geometry((32, 32), None))
    check_network(vision_transformer(), model, Geometry((32, 32), None))
    message = error_of(check_network, vision_transformer(), model, Geometry(32, None))
    assert "fails on images of 32 × 48 pixels" in message
    assert "model.test.resize=[32,32]" in message


def test_network_that_fails_on_the_training_size_is_refused() -> None:
    model = make_model(name="vit", train=Geometry(None, 48))
    message = error_of(check_training_network, vision_transformer(), model, Geometry(None, 32))
    assert "vit fails on images of 48 × 48 pixels" in message
    assert "give model.train a size, and model.input channels, that vit takes" in message


def test_network_whose_output_differs_in_training_is_refused() -> None:
    class Auxiliary(nn.Module):
        def forward(self, images: torch.Tensor) -> Any:
            logits = images.mean((1, 2, 3))[:, None]
            return (logits, logits) if self.training else logits

    check_network(around(Auxiliary()), make_model(), WHOLE)
    message = error_of(check_training_network, around(Auxiliary()), make_model(), WHOLE)
    assert "model.backbone returns tuple for 2 images" in message


LOGITS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "detached": (lambda logits: logits.detach(), "depend on no trainable parameter"),
    "constant": (torch.zeros_like, "depend on no trainable parameter"),
    "integer": (lambda logits: logits.long(), r"logits of torch\.int64: they must be real"),
    "decisions": (lambda logits: logits > 0, r"logits of torch\.bool"),
    "complex": (lambda logits: logits.cfloat(), r"logits of torch\.complex64"),
}


@pytest.mark.parametrize("name", LOGITS)
def test_network_without_logits_that_can_be_trained_is_refused(name: str) -> None:
    change, expected = LOGITS[name]

    class Changed(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return change(super().forward(images.mean((2, 3))))

    message = error_of(check_training_network, around(Changed(3, 1)), make_model(), WHOLE)
    assert re.search(expected, message)


def test_network_with_frozen_layers_is_taken() -> None:
    network = build_network(make_model(trainable="head"))
    check_training_network(network, make_model(), WHOLE)
    assert all(value.grad is None for value in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_check_keeps_the_mode_and_the_statistics(training: bool) -> None:
    network = build_network(make_model(backbone={"name": "resnet", "arch": "resnet18"}))
    network.train(training)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    check_network(network, make_model(), WHOLE)
    find_wrong_bfloat16_gradient(network, Geometry(None, 32))
    assert network.training == network.backbone.training == training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_trained_network_with_a_logit_that_is_not_finite_is_refused() -> None:
    network = build_network(make_model())
    check_trained_network(network, make_model(), WHOLE)
    with torch.no_grad():
        network.backbone[2].weight.fill_(3e38)
    message = error_of(check_trained_network, network, make_model(), WHOLE)
    assert "the logit of a black image is -inf" in message


def test_network_whose_statistics_were_never_fitted_is_refused_as_trained() -> None:
    settings = Geometry(None, 8)
    model = make_model(input={"name": "dct_log", "size": 8}, train=settings, test=settings)
    network = build_network(model)
    check_training_network(network, model, settings)
    message = error_of(check_trained_network, network, model, settings)
    assert "statistics of model.input were never fitted" in message
    network.input.fitted.fill_(True)
    check_trained_network(network, model, settings)


def test_statistics_of_one_size_refuse_whole_images() -> None:
    settings = Geometry(None, 8)
    model = make_model(input={"name": "dct_log", "size": 8}, train=settings, test=settings)
    message = error_of(check_network, build_network(model), model, WHOLE)
    assert "statistics of 8 × 8 pixels" in message
    assert "model.test.crop" in message


@pytest.mark.parametrize(
    ("arch", "side", "expected"),
    [
        ("resnet18", 8, "layer3.0.conv1"),
        ("resnet18", 16, "layer4.0.conv1"),
        ("resnet18", 17, None),
        ("resnet18", 224, None),
        ("resnet50", 16, "layer4.0.conv2"),
    ],
)
def test_wrong_bfloat16_gradient_is_where_a_stride_is_wider_than_the_map(
    arch: str, side: int, expected: str | None
) -> None:
    network = build_network(make_model(backbone={"name": "resnet", "arch": arch}))
    assert find_wrong_bfloat16_gradient(network, Geometry(None, side)) == expected


def test_wrong_bfloat16_gradient_of_frozen_layers_does_not_count() -> None:
    backbone = {"name": "resnet", "arch": "resnet18"}
    network = build_network(make_model(backbone=backbone, trainable="head"))
    assert find_wrong_bfloat16_gradient(network, Geometry(None, 16)) is None


@pytest.mark.parametrize(
    ("kernel", "stride", "size", "wrong"),
    [
        (3, 1, (1, 1), False),
        (3, 2, (1, 2), False),
        (3, 2, (3, 3), False),
        (5, 1, (2, 1), False),
        (3, 2, (1, 1), True),
        (3, 2, (2, 1), True),
        (3, 3, (2, 2), True),
        (5, 1, (1, 2), True),
    ],
)
def test_bfloat16_gradient_of_a_padded_convolution_is_right_or_found_wrong(
    kernel: int, stride: int, size: tuple[int, int], wrong: bool
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, kernel, stride, padding=kernel // 2, bias=False)
    network = around(nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1)))
    found = find_wrong_bfloat16_gradient(network, Geometry(size, None))
    assert found == ("0" if wrong else None)
    if wrong:
        return  # what the memory held before, which may be right
    images = torch.randn(8, 3, *size)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        weight = conv.weight.detach().to(dtype).requires_grad_()
        output = functional.conv2d(images.to(dtype), weight, stride=stride, padding=kernel // 2)
        output.float().sum().backward()
        assert weight.grad is not None
        gradients.append(weight.grad.float())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0.02, atol=0.2)
