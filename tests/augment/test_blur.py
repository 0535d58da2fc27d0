"""Blur against SciPy."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from genspot.augment.blur import Blur, blur
from helpers.arrays import make_noise, make_photo

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 60)


def published_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return what the published code makes of `image`: each channel filtered in place."""
    blurred = image.copy()
    for channel in range(3):
        plane = blurred[:, :, channel]
        gaussian_filter(plane, output=plane, sigma=sigma)
    return blurred


@settings(max_examples=100, deadline=None)
@example(1, 17, 1.3, 0)
@example(17, 1, 3.0, 0)
@example(1, 1, 0.7, 0)
@example(1, 60, 20.0, 0)
@example(7, 5, 0.0, 0)
@example(16, 17, 1e-15, 0)
@example(16, 17, 1.1e-15, 0)
@given(sides, sides, st.floats(0, 3) | st.floats(0, 30), seeds)
def test_blur_exact_equals_published_filter(
    height: int, width: int, sigma: float, seed: int
) -> None:
    image = make_noise(height, width, seed)
    before = image.copy()
    blurred = blur(image, sigma)
    assert blurred.dtype == np.uint8
    np.testing.assert_array_equal(blurred, published_blur(image, sigma))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("sigma", [0.4, 3.0])
@pytest.mark.parametrize("layout", ["transposed", "strided", "read-only", "Fortran"])
def test_blur_memory_layout_does_not_matter(layout: str, sigma: float) -> None:
    image = make_photo(30, 40, 5)
    view = {
        "transposed": image.transpose(1, 0, 2)[::-1],
        "strided": image[:, ::2],
        "read-only": image.copy(),
        "Fortran": np.asfortranarray(image),
    }[layout]
    view.setflags(write=layout != "read-only")
    np.testing.assert_array_equal(blur(view, sigma), published_blur(view, sigma))


@settings(max_examples=50, deadline=None)
@example(1, 17, 1.3, 0)
@given(sides, sides, st.floats(0, 3), seeds)
def test_blur_not_exact_rounds_float_filter_once(
    height: int, width: int, sigma: float, seed: int
) -> None:
    image = make_noise(height, width, seed)
    planes = [
        gaussian_filter(image[..., c].astype(np.float32), sigma, output=np.float32)
        for c in range(3)
    ]
    blurred = blur(image, sigma, exact=False)
    assert blurred.dtype == np.uint8
    # OpenCV and SciPy sum in different orders: a sum midway between two grey levels, to the
    # precision of float32, may be rounded to either.
    assert np.abs(blurred - np.stack(planes, -1)).max() < 0.5 + 1e-3


def test_blur_sigma_range_is_drawn_uniformly() -> None:
    transform = Blur(sigma=(1, 2), p=1)
    transform.set_random_state(np.random.default_rng(0), random.Random(0))
    sigmas = [transform.get_params()["sigma"] for _ in range(2000)]
    assert min(sigmas) >= 1 and max(sigmas) <= 2
    assert np.histogram(sigmas, 4, (1, 2))[0] / 2000 == pytest.approx([0.25] * 4, abs=0.05)
    assert Blur(sigma=1.5).get_params() == {"sigma": 1.5}


@pytest.mark.parametrize(
    "sigma",
    [-1, (-1, 2), (2, 1), 101, (0, 1000), (0, 1, 2), (), None, "soft", "12", float("nan"), [None]],
    ids=repr,
)
def test_blur_invalid_sigma_raises_one_line(sigma: Any) -> None:
    with pytest.raises(ValueError, match="sigma") as error:
        Blur(sigma=sigma)
    assert "\n" not in str(error.value)
