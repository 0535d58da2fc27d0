"""Traces of JPEG in pixels, against SciPy's DCT of each block and against known histories."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from genspot.data.audit.jpeg_grid import FREQUENCIES, grid_quality, grid_statistics, wholeness
from helpers import faulty_sets

TILES = [np.asarray(tile) for tile in faulty_sets.draw(0, 30)[0]]


def grey_of(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("L"))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    content = BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def test_wholeness_is_that_of_the_dct_of_each_block() -> None:
    grey = grey_of(TILES[0])[:45, :39]
    squares = np.zeros((8, 8))
    for y in range(32):  # the last multiple of 8 with a whole block at each place
        for x in range(32):
            block = dctn(grey[y : y + 8, x : x + 8].astype(np.float64), norm="ortho")
            for down in FREQUENCIES:
                for right in FREQUENCIES:
                    squares[y % 8, x % 8] += (block[down, right] - round(block[down, right])) ** 2
    expected = 1 - 12 * squares / (16 * len(FREQUENCIES) ** 2)
    np.testing.assert_allclose(wholeness(grey), expected, atol=1e-3)


@pytest.mark.parametrize("quality", [60, 75, 90, 98])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 5), (7, 1)])
def test_jpeg_once_is_found_at_the_phase_that_the_crop_left(
    quality: int, top: int, left: int
) -> None:
    found = []
    for tile in TILES:
        grid = grid_statistics(grey_of(jpeg(tile, quality)[top:, left:]))
        assert (grid["grid_x"] is None) == (grid["grid_y"] is None) == (grid["grid_strength"] == 0)
        found.append((grid["grid_x"], grid["grid_y"]))
    assert found.count((-left % 8, -top % 8)) >= 0.9 * len(found)


def test_never_compressed_has_no_grid() -> None:
    found = [grid_statistics(grey_of(tile)) for tile in TILES]
    assert sum(grid["grid_x"] is not None for grid in found) <= 1
    noise = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    assert grid_statistics(noise)["grid_x"] is None


def test_resizing_destroys_the_grid() -> None:
    resized = [Image.fromarray(jpeg(tile, 75)).resize((109, 109)) for tile in TILES]
    found = [grid_statistics(np.asarray(image.convert("L"))) for image in resized]
    assert sum(grid["grid_x"] is not None for grid in found) <= 1


@pytest.mark.parametrize("quality", [50, 75, 85, 90, 95])
def test_quality_of_the_past_is_found_in_the_pixels(quality: int) -> None:
    found = []
    for tile in TILES:
        grid = grid_statistics(grey_of(jpeg(tile, quality)[3:, 5:]))
        if grid["grid_x"] is not None:
            found.append(grid["grid_quality"])
    assert np.mean(np.abs(np.array(found) - quality) <= 1) >= 0.9


def test_quality_does_not_depend_on_what_is_shown() -> None:
    flat = np.random.default_rng(0).normal(128, 20, (64, 64))
    busy = np.random.default_rng(1).integers(0, 256, (64, 64))
    for image in (flat, busy):
        grey = np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        assert grid_quality(grey_of(jpeg(grey, 80))) == 80


@pytest.mark.parametrize("image", [np.zeros((1, 1)), np.zeros((39, 200)), np.full((64, 64), 9)])
def test_small_and_uniform_images_have_no_grid(image: np.ndarray) -> None:
    expected = {"grid_strength": 0, "grid_quality": None, "grid_x": None, "grid_y": None}
    assert grid_statistics(image.astype(np.uint8)) == expected
