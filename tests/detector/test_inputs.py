"""Input representations: normalised pixels, and one that a user adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torchvision import transforms

from genspot.common.errors import GenspotError
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.inputs import INPUTS, register_input
from genspot.detector.network import build_input, build_network
from helpers.detectors import PIXELS, make_metadata, make_model, save_checkpoint


@register_input("residual_of_test")
class Residual(nn.Module):
    """What nearest downsampling by `factor` loses, divided by a fitted scale per channel."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("scale", torch.ones(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        floats = pixels.float()
        small = floats[..., :: self.factor, :: self.factor]
        coarse = functional.interpolate(small, floats.shape[-2:], mode="nearest")
        return (floats - coarse) / self.scale


def test_pixels_equal_totensor_and_normalize() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 23, 3), dtype=np.uint8)
    steps = [transforms.ToTensor(), transforms.Normalize(PIXELS["mean"], PIXELS["std"])]
    expected = torch.stack([transforms.Compose(steps)(Image.fromarray(one)) for one in images])
    pixels = build_input(PIXELS)(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert pixels.dtype == torch.float32
    assert torch.equal(pixels, expected)
    assert not build_input(PIXELS).state_dict()  # a published state dict has no statistics


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mean": [0.5]}, r"model\.input\.mean=\[0\.5\]: give one number per channel"),
        ({"mean": "abc"}, r"model\.input\.mean="),
        ({"std": None}, r"model\.input\.std=None"),
        ({"mean": [float("inf"), 0, 0]}, r"model\.input\.mean="),
        ({"std": [1, 0, 1]}, r"model\.input\.std=\[1, 0, 1\]: each must be above 0"),
        ({"name": "pixel"}, "no input representation 'pixel'; registered are: .*pixels"),
    ],
)
def test_input_with_wrong_settings_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(GenspotError, match=expected):
        build_input(PIXELS | changes)


def test_input_of_a_users_own_is_found_by_its_name() -> None:
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    upsampled = pixels.repeat_interleave(2, -1).repeat_interleave(2, -2)
    residual = INPUTS.build({"name": "residual_of_test", "factor": 2})
    assert torch.equal(residual(upsampled), torch.zeros(2, 3, 16, 16))  # shows nothing of these
    odd = residual(pixels)[..., 1::2, 1::2]
    assert torch.equal(odd, pixels[..., 1::2, 1::2].float() - pixels[..., ::2, ::2].float())


def test_input_with_fitted_statistics_travels_in_a_checkpoint(tmp_path: Path) -> None:
    model = make_model(input={"name": "residual_of_test", "factor": 2})
    network = build_network(model).eval()
    network.input.scale.copy_(torch.tensor([2.0, 4.0, 8.0]).view(3, 1, 1))
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(model), network.state_dict())
    checkpoint = load_checkpoint(path)
    assert checkpoint.metadata.model == model
    loaded = build_network(checkpoint.metadata.model).eval()
    checkpoint.load_into(loaded, "means")
    assert loaded.input.scale.flatten().tolist() == [2, 4, 8]
    images = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(loaded(images), network(images))
