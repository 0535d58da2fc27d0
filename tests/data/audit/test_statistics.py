"""Statistics of colour and sharpness, against NumPy, the standard library and plain loops."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from scipy.fft import dct

from genspot.data.audit.statistics import colour_statistics, sharpness_statistics

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (30, 21, 3), dtype=np.uint8)


def test_colour_statistics_are_those_of_plain_loops() -> None:
    found = colour_statistics(NOISE)
    pixels = NOISE.reshape(-1, 3).astype(np.float64)
    for band, name in enumerate(("red", "green", "blue")):
        assert found[f"{name}_mean"] == pytest.approx(pixels[:, band].mean())
        assert found[f"{name}_std"] == pytest.approx(pixels[:, band].std())
    saturations = [colorsys.rgb_to_hsv(*(pixel / 255))[1] for pixel in pixels]
    assert found["saturation"] == pytest.approx(np.mean(saturations), abs=1 / 255)
    red, green, blue = pixels.T
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    distances = np.hypot(0.564 * (blue - luma), 0.713 * (red - luma))
    assert found["chroma"] == pytest.approx(np.percentile(distances, 99), abs=2)
    assert found["dark_share"] == np.mean([value == 0 for value in NOISE.flat])
    assert found["bright_share"] == np.mean([value == 255 for value in NOISE.flat])


def test_grey_has_no_saturation_and_no_chroma() -> None:
    found = colour_statistics(np.repeat(NOISE[..., :1], 3, axis=2))
    assert (found["saturation"], found["chroma"]) == (0, 0)


def test_sharpness_statistics_are_those_of_plain_loops() -> None:
    grey = NOISE[..., 0].astype(np.float32)
    found = sharpness_statistics(grey)
    variance = np.var(grey.astype(np.float64))
    gradient = np.mean(np.diff(grey, axis=0) ** 2) + np.mean(np.diff(grey, axis=1) ** 2)
    assert found["gradient"] == pytest.approx(np.log10(gradient / variance), abs=1e-4)
    padded = np.pad(grey, 1, mode="reflect").astype(np.float64)
    laplacian = (
        padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2] - 4 * grey
    )
    expected = np.log10(np.mean(laplacian**2) / variance)
    assert found["laplacian"] == pytest.approx(expected, abs=1e-4)
    spectrum = dct(dct(grey.astype(np.float64), axis=0, norm="ortho"), axis=1, norm="ortho") ** 2
    high = total = 0.0
    for row in range(30):
        for column in range(21):
            if (row, column) != (0, 0):
                total += spectrum[row, column]
                # The frequency of coefficient k of N is k / 2N cycles per pixel.
                if row / 60 >= 0.25 or column / 42 >= 0.25:
                    high += spectrum[row, column]
    assert found["high_frequency"] == pytest.approx(np.log10(high / total), abs=1e-4)


def test_sharpness_does_not_depend_on_contrast_and_falls_with_blur() -> None:
    grey = NOISE[..., 0].astype(np.float32)
    found = sharpness_statistics(grey)
    assert sharpness_statistics(grey / 2 + 50) == pytest.approx(found, abs=1e-4)
    blurred = (
        grey + np.roll(grey, 1, 0) + np.roll(grey, 1, 1) + np.roll(grey, (1, 1), (0, 1))
    ) / 4
    for name, value in sharpness_statistics(blurred).items():
        assert value < found[name] - 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (16, 16)])
def test_uniform_and_tiny_images_have_finite_statistics(shape: tuple[int, int]) -> None:
    values = {**sharpness_statistics(np.full(shape, 7, np.float32))}
    values |= colour_statistics(np.full((*shape, 3), 7, np.uint8))
    assert np.isfinite(list(values.values())).all()
