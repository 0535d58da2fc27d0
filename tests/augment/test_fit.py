"""Fitting to N × N against PIL."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from genspot.augment.fit import Fit
from genspot.common.errors import GenspotError
from helpers.arrays import compress_by_pil, make_noise


def fit(image: np.ndarray, side: int) -> np.ndarray:
    return Fit(side)(image=image)["image"]


def reduced(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def test_fit_leaves_an_image_of_its_size() -> None:
    image = make_noise(32, 32, 0)
    np.testing.assert_array_equal(fit(image, 32), image)


def test_fit_of_one_pixel() -> None:
    image = make_noise(1, 1, 0)
    np.testing.assert_array_equal(fit(image, 1), image)
    assert fit(make_noise(9, 5, 0), 1).shape == (1, 1, 3)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 100), (100, 64), (65, 64)])
def test_fit_reduces_as_pil_does(height: int, width: int) -> None:
    image = make_noise(height, width, 1)
    scale = 32 / 64
    expected = reduced(image, round(width * scale), round(height * scale))
    top, left = (length // 2 // 16 * 16 for length in (len(expected) - 32, len(expected[0]) - 32))
    np.testing.assert_array_equal(fit(image, 32), expected[top : top + 32, left : left + 32])


@pytest.mark.parametrize("rest", [0, 1, 15, 31, 32, 40, 63, 64, 200])
def test_fit_crops_near_the_centre_and_keeps_the_jpeg_grid(rest: int) -> None:
    image = np.arange(32 + rest, dtype=np.uint8)[None, :, None].repeat(32, 0).repeat(3, 2)
    left = int(fit(image, 32)[0, 0, 0])
    assert left % 16 == 0
    assert 0 <= rest / 2 - left < 16


def test_fit_of_a_larger_jpeg_has_its_blocks_at_the_corner() -> None:
    image = compress_by_pil(make_noise(96, 120, 2) // 4 + 90, 20)
    cropped = fit(image, 96)
    steps = np.abs(np.diff(cropped.astype(int), axis=1)).mean((0, 2))
    on_grid = np.arange(1, 96) % 8 == 0
    assert steps[on_grid].mean() > 1.2 * steps[~on_grid].mean()


@pytest.mark.parametrize(("height", "width"), [(1, 20_000), (20_000, 1)])
def test_fit_of_a_long_and_thin_image(height: int, width: int) -> None:
    assert fit(make_noise(height, width, 0), 1).shape == (1, 1, 3)
    with pytest.raises(ValueError, match=rf"{width} × {height} pixels: smaller than fit_2"):
        fit(make_noise(height, width, 0), 2)


@pytest.mark.parametrize("side", [0, -1, 1.5, 10_001, float("nan")])
def test_fit_to_a_wrong_side_raises_one_line(side: float) -> None:
    with pytest.raises(GenspotError, match=r"^side=.+\Z"):
        Fit(side)
