"""Input representations: normalised pixels, and one that a user adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import laplace
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.inputs import INPUTS, register_input
from genspot.detector.network import build_network
from helpers.detectors import PIXELS, make_metadata, make_model, save_checkpoint


@register_input("residual_of_test")
class Residual(nn.Module):
    """Differences of horizontal neighbours, divided by a fitted scale."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().diff(dim=-1) / self.scale


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "pixel"}, "^no input representation 'pixel'; registered are: .*pixels"),
        ({"name": ["pixels"]}, "^no input representation .*registered are: "),
        ({"wide": 5}, "^input representation 'pixels': .*'wide'"),
        ({"mean": [0.5]}, r"model\.input\.mean=\[0\.5\]: give one number per channel"),
        ({"std": None}, r"model\.input\.std=None"),
        ({"mean": [float("inf"), 0, 0]}, r"model\.input\.mean="),
        ({"std": [1, 0, 1]}, r"model\.input\.std=\[1, 0, 1\]: each must be above 0"),
    ],
)
def test_input_with_wrong_settings_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(GenspotError, match=expected):
        INPUTS.build(PIXELS | changes)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (7, 4), (64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_laplacian_equals_scipys_also_under_autocast(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, *size), np.uint8))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        found = INPUTS.build({"name": "laplacian"})(pixels)
    planes = pixels.float().numpy().reshape(-1, *size)
    expected = [laplace(plane, mode="nearest") for plane in planes]  # type: ignore[no-untyped-call]
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.reshape(-1, *size).numpy(), np.stack(expected))


def test_name_of_another_input_is_refused() -> None:
    with pytest.raises(ValueError, match="input representation 'pixels' is registered twice"):
        register_input("pixels")(nn.Identity)


def test_input_of_a_users_own_travels_in_a_checkpoint_with_its_statistics(tmp_path: Path) -> None:
    model = make_model(input={"name": "residual_of_test", "scale": 1.0})
    network = build_network(model).eval()
    network.input.scale.fill_(4)
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(model), network.state_dict())
    checkpoint = load_checkpoint(path)
    assert checkpoint.metadata.model == model
    loaded = build_network(checkpoint.metadata.model).eval()
    checkpoint.load_into(loaded, "means")
    images = torch.randint(0, 256, (4, 16, 16, 3), dtype=torch.uint8)
    differences = images.permute(0, 3, 1, 2).float().diff(dim=-1) / 4
    with torch.inference_mode():
        assert torch.equal(loaded(images), network.backbone(differences).squeeze(1))


def test_stacked_input_has_the_channels_of_its_parts_in_their_order() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 9, 7), np.uint8))
    parts = [PIXELS, {"name": "laplacian"}]
    found = INPUTS.build({"name": "stacked", "parts": parts})(pixels)
    torch.testing.assert_close(found, torch.cat([INPUTS.build(one)(pixels) for one in parts], 1))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], r"model\.input\.parts=\[\]: give a list"),
        ("pixels", r"model\.input\.parts=pixels: give a list"),
        (["pixels"], r"model\.input\.parts\[0\]=pixels: give the name and the settings"),
        ([PIXELS, {"name": "stacked", "parts": [PIXELS]}], r"parts\[1\].*other than stacked"),
        ([{"name": "pixel"}], "no input representation 'pixel'"),
        ([{"name": "dct_log", "size": 8}], r"parts\[0\]: dct_log has statistics"),
    ],
)
def test_stacked_input_of_wrong_parts_is_refused(parts: Any, expected: str) -> None:
    with pytest.raises(GenspotError, match=expected):
        INPUTS.build({"name": "stacked", "parts": parts})
