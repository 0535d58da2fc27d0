"""Backbones: one logit, initial weights from a file, anti-aliasing filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones.antialiased import BlurPool, antialiased_resnet50
from genspot.detector.backbones.resnet import resnet
from genspot.detector.network import build_backbone
from helpers.code_that_runs import RunsCode


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_resnet_is_torchvisions_with_one_logit(arch: str) -> None:
    network = build_backbone({"name": "resnet", "arch": arch})
    expected = torchvision.models.get_model(arch, num_classes=1)
    expected.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 40, 40)
    with torch.inference_mode():
        assert torch.equal(network.eval()(images), expected.eval()(images))


@pytest.mark.parametrize(
    ("name", "arch"), [("resnet", "resnet18"), ("timm", "test_resnet"), ("timm", "test_vit")]
)
def test_backbone_starts_from_a_file_but_for_its_head(
    name: str, arch: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    state = build_backbone({"name": name, "arch": arch}).state_dict()
    *body, head, bias = state
    torch.save(state | {head: torch.zeros(1000, 7), bias: torch.zeros(1000)}, file)
    loaded = build_backbone({"name": name, "arch": arch, "weights": str(file)}).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in body)
    assert loaded[head].shape == state[head].shape
    assert loaded[head].any()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"conv1.weight": 1}, "is not a state dict"),
        ([1, 2], "is not a state dict"),
        ({1: torch.zeros(2)}, "is not a state dict"),
        ({"conv1.weight": torch.zeros(2)}, "for resnet18 does not fit: conv1.weight differs"),
        (RunsCode("true"), "refused: loading it would call"),
        (None, "no such file"),
    ],
)
def test_initial_weights_of_another_form_are_refused(
    content: object, expected: str, tmp_path: Path
) -> None:
    if content is not None:
        torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(GenspotError, match=expected) as error:
        resnet("resnet18", str(tmp_path / "weights.pth"))
    assert "\n" not in str(error.value)
    if "refused" not in expected:
        assert "model.backbone.weights=null" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "resnet", "arch": "vgg11"}, r"model\.backbone\.arch=vgg11: no ResNet"),
        ({"name": "resnet", "arch": "resnet19"}, r"model\.backbone\.arch=resnet19: "),
        ({"name": "resnet", "arch": ["resnet18"]}, "no ResNet of torchvision"),
        ({"name": "timm", "arch": "resnet10x"}, r"model\.arch=resnet10x: timm .* no such model"),
        ({"name": "timm", "arch": "test_resne"}, r"similar: test_resnet$"),
        ({"name": "timm", "arch": "hf-hub:timm/test_resnet"}, "no such model"),
        ({"name": "timm", "arch": "test_resnet.nope", "weights": "pretrained"}, "cannot build"),
    ],
)
def test_backbone_of_unknown_architecture_is_refused(
    settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(GenspotError, match=expected) as error:
        build_backbone(settings)
    assert "\n" not in str(error.value)


def test_timm_model_has_one_logit() -> None:
    network = build_backbone({"name": "timm", "arch": "test_resnet"}).eval()
    assert network(torch.randn(2, 3, 64, 48)).shape == (2, 1)


@pytest.mark.parametrize("height", [1, 2, 3, 16])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_blur_pool_filters_features_of_any_size(height: int, width: int) -> None:
    features = torch.randn(2, 3, height, width)
    padded = np.pad(features.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    line = np.array([1, 2, 1]) / 4
    for axis in (2, 3):
        padded = np.apply_along_axis(np.convolve, axis, padded, line, "valid")
    expected = torch.from_numpy(padded[..., ::2, ::2]).float()
    torch.testing.assert_close(BlurPool()(features), expected, atol=1e-6, rtol=0)


def test_antialiased_resnet50_loads_resnet50_and_is_steadier_under_a_shift() -> None:
    torch.manual_seed(0)
    plain: Any = resnet("resnet50")
    filtered = antialiased_resnet50()
    filtered.load_state_dict(plain.state_dict())  # strict: the same keys and shapes
    image = torch.rand(1, 3, 80, 80)
    changes = []
    for network in (plain.eval(), filtered.eval()):
        body = nn.Sequential(*list(network.children())[:-1])
        with torch.inference_mode():
            before, after = (body(image[..., left : left + 64, :64]) for left in (0, 1))
        changes.append(((before - after).norm() / before.norm()).item())
    assert changes[1] < 0.7 * changes[0]
