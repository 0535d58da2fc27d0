"""The residual representations against plain loops, PyWavelets and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pywt
import torch

from genspot.detector.inputs import INPUTS
from genspot.detector.metadata import IMAGENET

CLIP = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
SIZES = [(1, 1), (1, 2), (1, 7), (2, 1), (2, 2), (3, 5), (4, 3), (5, 1), (8, 6), (9, 9)]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))


def noise(size: tuple[int, int], count: int = 2) -> torch.Tensor:
    """Return `count` images of noise that hold both 0 and 255 where there is room."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, *size), np.uint8)
    pixels.reshape(-1)[:2] = 0, 255
    return torch.from_numpy(pixels)


def represent(settings: dict[str, Any], pixels: torch.Tensor, dtype: torch.dtype) -> np.ndarray:
    """Return the representation, computed under autocast to `dtype`, in both memory layouts."""
    module = INPUTS.build(settings)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        found = module(pixels)
        other = module(pixels.to(memory_format=torch.channels_last))
    assert found.dtype == torch.float32
    assert torch.equal(found, other)
    return found.numpy()


def normalised(pixels: torch.Tensor, mean: list[float], std: list[float]) -> np.ndarray:
    values = pixels.numpy().astype(np.float64) / 255
    return (values - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))


@sizes
@dtypes
def test_npr_is_two_thirds_of_the_distance_from_the_corner_of_each_block(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    pixels = noise(size)
    found = represent({"name": "npr", **IMAGENET}, pixels, dtype)
    images = normalised(pixels, **IMAGENET)
    height, width = (side if side == 1 else side // 2 * 2 for side in size)
    assert found.shape == (2, 3, height, width)
    for row in range(height):
        for column in range(width):
            corner = images[..., row // 2 * 2, column // 2 * 2]
            expected = 2 / 3 * (images[..., row, column] - corner)
            np.testing.assert_allclose(found[..., row, column], expected, atol=2e-6)


@sizes
@dtypes
def test_median3_is_the_distance_from_the_fifth_of_eight_neighbours_and_a_zero(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    pixels = noise(size, count=6)
    found = represent({"name": "median3", **CLIP}, pixels, dtype)
    images = normalised(pixels, **CLIP)
    assert found.shape == images.shape
    for index in np.ndindex(images.shape):
        *plane, row, column = index
        window = [0.0]
        for y in (row - 1, row, row + 1):
            for x in (column - 1, column, column + 1):
                if (y, x) != (row, column):
                    inside = 0 <= y < size[0] and 0 <= x < size[1]
                    window.append(images[(*plane, y, x)] if inside else 0.0)
        assert found[index] == pytest.approx(images[index] - sorted(window)[4], abs=2e-6)


@dtypes
def test_median3_of_every_order_of_the_neighbours(dtype: torch.dtype) -> None:
    """The exchanges sort all patterns of few values: 0/1 patterns prove a sorting network."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    windows = np.insert(bits, 4, 0, axis=1).reshape(256, 1, 3, 3).repeat(3, axis=1) * 255
    pixels = torch.from_numpy(windows.astype(np.uint8))
    for mean in (0.25, 0.5, 0.75):  # the 0 of the centre lies between the two values
        settings = {"name": "median3", "mean": [mean] * 3, "std": [1.0] * 3}
        found = represent(settings, pixels, dtype)[:, 0, 1, 1]
        values = np.sort(np.column_stack([bits - mean, np.zeros(256)]), axis=1)
        np.testing.assert_allclose(found, -mean - values[:, 4], atol=1e-6)


def resized(band: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return `band` resized bilinearly: pixels are areas, and those at the border are repeated."""
    for axis, side in zip((-2, -1), size, strict=True):
        old = band.shape[axis]
        places = ((np.arange(side) + 0.5) * old / side - 0.5).clip(0, old - 1)
        below = np.floor(places).astype(int)
        above = (below + 1).clip(max=old - 1)
        share = np.expand_dims(places - below, -1) if axis == -2 else places - below
        band = band.take(below, axis) * (1 - share) + band.take(above, axis) * share
    return band


@sizes
@dtypes
def test_dwt_hh_equals_pywavelets_diagonal_band_resized(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    pixels = noise(size)
    found = represent({"name": "dwt_hh"}, pixels, dtype)
    _, (_, _, band) = pywt.dwt2(pixels.numpy() / 255, "bior1.3", mode="symmetric")
    np.testing.assert_allclose(found, resized(band, size), atol=1e-6)


def test_dwt_hh_of_256_pixels_has_a_band_of_130() -> None:
    """An impulse shows the taps, the grid and the border of one coefficient."""
    pixels = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    pixels[..., 100, 101] = 255
    found = represent({"name": "dwt_hh"}, pixels, torch.float32)[0, 0]
    place = np.array([51, 51])  # block 50 of the image, behind the coefficient of the border
    centre = (place + 0.5) * 256 / 130 - 0.5
    peak = np.unravel_index(np.abs(found).argmax(), found.shape)
    np.testing.assert_allclose(peak, centre, atol=1)
    assert -0.5 <= found.min() < -0.3  # b of the block, whose sign is minus
    assert np.count_nonzero(found) <= 16


def test_residuals_of_one_colour_are_zero() -> None:
    pixels = torch.full((1, 3, 6, 8), 77, dtype=torch.uint8)
    for settings in ({"name": "npr", **IMAGENET}, {"name": "dwt_hh"}):
        assert not represent(settings, pixels, torch.float32).any()
    inner = represent({"name": "median3", **CLIP}, pixels, torch.float32)[..., 1:-1, 1:-1]
    assert not inner.any()
