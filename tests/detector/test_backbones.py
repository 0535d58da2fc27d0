"""Backbones: one logit, initial weights from a file, anti-aliasing filters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.backbones.antialiased import BlurPool, antialiased_resnet50
from genspot.detector.backbones.resnet import resnet
from helpers.detectors import make_metadata, save_checkpoint


@pytest.mark.parametrize(("name", "arch"), [("resnet", "resnet18"), ("timm", "test_vit")])
def test_backbone_with_weights_from_a_file_has_a_new_head(
    name: str, arch: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    state = BACKBONES.build({"name": name, "arch": arch}).state_dict()
    *body, head, bias = state
    torch.save(state | {head: torch.zeros(1000, 7), bias: torch.zeros(1000)}, file)
    loaded = BACKBONES.build({"name": name, "arch": arch, "weights": str(file)}).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in body)
    assert loaded[head].shape == state[head].shape
    assert loaded[head].any()


def test_initial_weights_are_read_from_a_checkpoint_of_a_compiled_model(tmp_path: Path) -> None:
    state = resnet("resnet18").state_dict()
    wrapped = {f"_orig_mod.module.{key}": value for key, value in state.items()}
    torch.save({"model_state_dict": wrapped, "epoch": 7}, tmp_path / "weights.pth")
    loaded = resnet("resnet18", str(tmp_path / "weights.pth")).state_dict()
    body = [key for key in state if not key.startswith("fc.")]
    assert all(torch.equal(loaded[key], state[key]) for key in body)


def test_initial_weights_are_read_from_a_checkpoint_of_genspot(tmp_path: Path) -> None:
    """Without the statistics of its input."""
    state = resnet("resnet18").state_dict()
    network = {f"backbone.{key}": value for key, value in state.items()}
    network["input.mean"] = torch.ones(3)
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(), network)
    loaded = resnet("resnet18", str(path)).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state if key[:3] != "fc.")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"conv1.weight": 1}, "holds no weights, but conv1.weight"),
        ([1, 2], "holds no weights, but a list"),
        ({"x": torch.zeros(2), "conv1.weight": 1}, "has conv1.weight, which is no plain tensor"),
        ({"x": torch.tensor([torch.nan])}, "is of no use: x holds NaN"),
        ({"x": torch.zeros(2, device="meta")}, "has x, which is no plain tensor"),
        ({"conv1.weight": torch.zeros(2)}, "for resnet18 does not fit: conv1.weight has shape"),
        (None, "no such file"),
    ],
)
def test_initial_weights_of_another_form_are_refused(
    content: object, expected: str, tmp_path: Path
) -> None:
    if content is not None:
        torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(GenspotError, match=rf"{expected}.*model\.backbone\.weights=null"):
        resnet("resnet18", str(tmp_path / "weights.pth"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "resnet", "arch": "vgg11"}, r"model\.backbone\.arch=vgg11: no ResNet"),
        ({"name": "resnet", "arch": "resnet19"}, r"model\.backbone\.arch=resnet19: "),
        ({"name": "small_cnn", "width": 0}, r"model\.backbone\.width=0: give a whole number"),
        ({"name": "small_cnn", "width": 10**9}, "from 1 to 1024"),
        ({"name": "small_cnn", "width": "16"}, "give a whole number"),
        ({"name": "timm", "arch": "test_resne"}, r"model\.arch=test_resne: .*: test_resnet$"),
        ({"name": "timm", "arch": "hf-hub:timm/test_resnet"}, "no such model"),
        ({"name": "timm", "arch": "test_resnet.nope", "weights": "pretrained"}, "cannot build"),
    ],
)
def test_backbone_with_wrong_settings_is_refused(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(GenspotError, match=expected) as error:
        BACKBONES.build(settings)
    assert "\n" not in str(error.value)


def test_timm_that_is_not_installed_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # importing it fails
    with pytest.raises(GenspotError, match=r"model=timm needs timm: .*genspot\[timm\].*make timm"):
        BACKBONES.build({"name": "timm", "arch": "test_vit"})


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 5), (3, 2), (16, 5)])
def test_blur_pool_equals_a_separable_convolution(size: tuple[int, int]) -> None:
    features = torch.randn(2, 3, *size)
    expected = np.pad(features.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    for axis in (2, 3):
        line = np.array([1, 2, 1]) / 4
        expected = np.apply_along_axis(np.convolve, axis, expected, line, "valid")
    found = BlurPool()(features).numpy()
    np.testing.assert_allclose(found, expected[..., ::2, ::2], rtol=0, atol=1e-6)


def test_antialiased_resnet50_loads_resnet50_and_changes_less_under_a_shift() -> None:
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


@pytest.mark.parametrize("side", [1, 2, 63])
def test_small_cnn_returns_one_logit_for_an_image_of_any_size(side: int) -> None:
    network = BACKBONES.build({"name": "small_cnn", "width": 4}).eval()
    assert network(torch.ones(2, 3, side, side)).shape == (2, 1)
    assert (
        sum(value.numel() for value in network.parameters())
        == 9 * (3 * 4 + 4 * 8 + 8 * 16) + 2 * 28 + 17
    )
