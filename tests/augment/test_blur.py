"""Blur against SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from genspot.augment.blur import Blur, blur
from genspot.common.errors import GenspotError
from helpers.arrays import make_noise, make_photo, published_blur

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 60)


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
def test_blur_memory_layout_does_not_matter(sigma: float) -> None:
    image = make_photo(30, 40, 5)
    read_only = image.copy()
    read_only.setflags(write=False)
    views = (image.transpose(1, 0, 2)[::-1], image[:, ::2], np.asfortranarray(image), read_only)
    for view in views:
        np.testing.assert_array_equal(blur(view, sigma), published_blur(view, sigma))


@settings(max_examples=50, deadline=None)
@example(1, 17, 1.3, 0)
@given(sides, sides, st.floats(0, 3), seeds)
def test_blur_not_exact_rounds_float_filter_once(
    height: int, width: int, sigma: float, seed: int
) -> None:
    image = make_noise(height, width, seed)
    expected = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0))
    blurred = blur(image, sigma, exact=False)
    assert blurred.dtype == np.uint8
    # OpenCV and SciPy sum in different orders: a sum midway between two grey levels, to the
    # precision of float32, may be rounded to either.
    assert np.abs(blurred - expected).max() < 0.5 + 1e-3


@pytest.mark.parametrize(
    "sigma",
    [-1, (-1, 2), (2, 1), 101, (0, 1, 2), (), None, "soft", "12", float("nan"), [None]],
    ids=repr,
)
def test_blur_invalid_sigma_raises_one_line(sigma: Any) -> None:
    with pytest.raises(GenspotError, match=r"sigma.+\Z"):
        Blur(sigma=sigma)
