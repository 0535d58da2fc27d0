"""Degradations of test images against SciPy and PIL."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from genspot.augment.degradations import Resize, parse_degradations
from genspot.common.errors import GenspotError
from helpers.arrays import compress_by_pil, make_noise, published_blur

IMAGE = make_noise(40, 31, 0)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(
    ("degradations", "expected"),
    [
        ("blur_1.5", published_blur(IMAGE, 1.5)),
        ("jpeg_40", compress_by_pil(IMAGE, 40)),
        ("resize_0.5", resize(IMAGE, 20, 16)),
        ("resize_2", resize(IMAGE, 80, 62)),
        ("resize_0.01", resize(IMAGE, 1, 1)),
        ("resize_0.5+jpeg_75", compress_by_pil(resize(IMAGE, 20, 16), 75)),
        ("jpeg_75+resize_0.5", resize(compress_by_pil(IMAGE, 75), 20, 16)),
    ],
)
def test_parse_gives_the_transforms_in_order(degradations: str, expected: np.ndarray) -> None:
    transform = parse_degradations(degradations)
    assert transform is not None
    np.testing.assert_array_equal(transform(image=IMAGE)["image"], expected)


def test_parse_none_gives_no_transform() -> None:
    assert parse_degradations("none") is None


@pytest.mark.parametrize(
    "text",
    ["", "blur", "blur_x", "blur_-1", "jpeg_0", "jpeg_7.5", "resize_0", "resize_nan", "noise_1"],
)
@pytest.mark.parametrize("prefix", ["", "jpeg_75+"])
def test_parse_invalid_degradation_raises_one_line(text: str, prefix: str) -> None:
    with pytest.raises(GenspotError, match=rf"degradations={text}: .+\Z"):
        parse_degradations(prefix + text)


def test_resize_to_an_image_that_fills_the_memory_raises() -> None:
    image = np.broadcast_to(np.zeros(3, np.uint8), (4000, 1100, 3))
    with pytest.raises(ValueError, match="8800 × 32000 pixels"):
        Resize(8)(image=image)
