"""The backbones of publications: sizes, names of parameters, what each place of a map sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.metadata import IMAGENET
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.detector.patches import PatchBackbone

PARAMETERS = {
    "two_stage_resnet50": ({}, 1_437_761),
    "ferretnet_b": ({"name": "ferretnet", "width": 96}, 1_057_777),
    "ferretnet_s": ({"name": "ferretnet", "width": 32}, 126_289),
    "ladeda": ({}, 13_641_793),
    "tiny_ladeda": ({}, 1_297),
}


def trained(settings: dict[str, Any]) -> nn.Module:
    """Return a backbone in evaluation mode whose batch norms have statistics of some images."""
    torch.manual_seed(0)
    backbone = BACKBONES.build(settings)
    with torch.no_grad():
        for _ in range(3):
            backbone(torch.randn(4, 3, 40, 40))
    return backbone.eval()


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_backbone_has_the_published_number_of_parameters_and_takes_any_size(name: str) -> None:
    settings, expected = PARAMETERS[name]
    backbone = trained({"name": name, **settings})
    assert sum(value.numel() for value in backbone.parameters()) == expected
    fused = fuse_batchnorm(DetectorNetwork(Pixels(**IMAGENET), backbone))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fused.backbone.modules())
    for height, width in ((1, 1), (5, 9), (41, 64)):
        features = torch.randn(2, 3, height, width)
        with torch.inference_mode():
            logits = backbone(features)
            assert logits.shape == (2, 1)
            torch.testing.assert_close(fused.backbone(features), logits, atol=1e-4, rtol=1e-4)


def test_two_stages_are_those_of_torchvisions_resnet50() -> None:
    backbone = trained({"name": "two_stage_resnet50"})
    whole = torchvision.models.resnet50(num_classes=1)
    whole.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
    whole.layer3, whole.layer4, whole.fc = nn.Identity(), nn.Identity(), nn.Linear(512, 1)
    state = {key.replace("fc1.", "fc."): value for key, value in backbone.state_dict().items()}
    whole.load_state_dict(state)  # strict: the names of the published files
    images = torch.randn(2, 3, 70, 64)
    with torch.inference_mode():
        assert torch.equal(backbone(images), whole.eval()(images))


def test_ferretnet_has_the_names_of_its_published_files() -> None:
    names = BACKBONES.build({"name": "ferretnet", "width": 32}).state_dict()
    block = ["layers.0.conv1", "layers.0.conv2", "layers.0.conv3"]
    block += ["layers.3.depth_wise", "layers.3.point_wise"]
    convolutions = ["cbr1.0", "cbr2.0", "feature.2", "logit.1"]
    convolutions += [f"feature.{i}.{j}.{part}" for i in (0, 1) for j in (0, 1) for part in block]
    convolutions += [f"feature.{stage}.0.shortcut.0" for stage in (0, 1)]
    found = {name.removesuffix(".weight") for name in names if name.endswith(".weight")}
    norms = {name.removesuffix(".running_mean") for name in names if name.endswith("_mean")}
    assert found - norms == set(convolutions)
    assert len(norms) == 2 + 4 * 2 + 2
    assert {name for name in names if name.endswith(".bias")} == {
        *(f"{norm}.bias" for norm in norms),
        *("feature.0.0.shortcut.0.bias", "feature.1.0.shortcut.0.bias", "logit.1.bias"),
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"width": 31}, r"model\.backbone\.width=31: give an even number from 2 to 1024"),
        ({"width": 2048}, "from 2 to 1024"),
        ({"width": 32, "depth": 0}, r"model\.backbone\.depth=0: give a whole number"),
    ],
)
def test_ferretnet_of_another_size_is_refused(settings: dict[str, int], expected: str) -> None:
    with pytest.raises(GenspotError, match=expected):
        BACKBONES.build({"name": "ferretnet", **settings})


def test_ladeda_has_resnet50s_names_and_a_second_convolution_in_its_stem() -> None:
    found = BACKBONES.build({"name": "ladeda"}).state_dict()
    plain = torchvision.models.resnet50(num_classes=1).state_dict()
    assert found.keys() == plain.keys() | {"conv2.weight"}
    wide = [key for key, value in found.items() if value.ndim == 4 and value.shape[-1] == 3]
    assert wide == ["conv2.weight", "layer1.0.conv2.weight", "layer2.0.conv2.weight"]


@pytest.mark.parametrize(("name", "size", "stride"), [("ladeda", 9, 8), ("tiny_ladeda", 5, 2)])
def test_each_place_of_the_map_is_the_score_of_its_patch_alone(
    name: str, size: int, stride: int
) -> None:
    backbone = trained({"name": name})
    assert isinstance(backbone, PatchBackbone)
    images = torch.randn(2, 3, 31, 42)
    with torch.inference_mode():
        logits = backbone.patch_logits(images)
        rows, columns = ((side - size) // stride + 1 for side in images.shape[-2:])
        assert logits.shape == (2, rows, columns)
        for row in range(rows):
            for column in range(columns):
                top, left = row * stride, column * stride
                patch = images[..., top : top + size, left : left + size]
                single = backbone(patch)[:, 0]
                torch.testing.assert_close(logits[:, row, column], single, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(backbone(images)[:, 0], logits.mean((1, 2)))


def test_map_of_a_network_averages_to_its_logits_also_when_fused() -> None:
    network = DetectorNetwork(Pixels(**IMAGENET), trained({"name": "tiny_ladeda"})).eval()
    images = torch.randint(0, 256, (11, 20, 17, 3), dtype=torch.uint8)  # in two chunks
    for one in (network, fuse_batchnorm(network)):
        with torch.inference_mode():
            logits = one.patch_logits(images)
            assert (logits.shape, logits.dtype) == ((11, 8, 7), torch.float32)
            torch.testing.assert_close(logits.mean((1, 2)), network(images), atol=1e-5, rtol=0)
