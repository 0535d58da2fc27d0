"""Degradations and protocols against SciPy and PIL."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from genspot.augment.degradations import Resize, parse_degradations, parse_protocol
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
        ("fit_31+jpeg_75", compress_by_pil(IMAGE[:31], 75)),
    ],
)
def test_parse_gives_the_transforms_in_order(degradations: str, expected: np.ndarray) -> None:
    transform, protocol = parse_degradations(degradations), parse_protocol(degradations)
    assert transform is not None and protocol is not None
    np.testing.assert_array_equal(transform(image=IMAGE)["image"], expected)
    np.testing.assert_array_equal(protocol(IMAGE), expected)


def test_parse_none_gives_no_transform() -> None:
    assert parse_degradations("none") is None
    assert parse_protocol("none") is None


@pytest.mark.parametrize(
    "text",
    ["", "blur", "blur_x", "blur_-1", "jpeg_0", "jpeg_7.5", "resize_0", "resize_nan", "noise_1"]
    + ["fit_0", "fit_31.5", "fit_inf", "fit_20000"],
)
@pytest.mark.parametrize("prefix", ["", "jpeg_75+"])
def test_parse_invalid_degradation_raises_one_line(text: str, prefix: str) -> None:
    with pytest.raises(GenspotError, match=rf"degradations={text}: .+\Z"):
        parse_degradations(prefix + text)
    with pytest.raises(GenspotError, match=rf"protocol={text}: .+\Z"):
        parse_protocol(prefix + text)


def test_protocol_gives_the_same_pixels_each_time_and_leaves_the_image() -> None:
    protocol = parse_protocol("blur_0.7+resize_0.9+fit_24+jpeg_60")
    assert protocol is not None
    image = IMAGE.copy()
    first = protocol(image)
    for _ in range(3):
        np.testing.assert_array_equal(protocol(image), first)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(protocol))(image), first)


def test_protocol_of_an_image_too_long_for_jpeg_raises_with_the_reason() -> None:
    protocol = parse_protocol("jpeg_75")
    assert protocol is not None
    with pytest.raises(ValueError, match="2 × 66000 pixels: a JPEG has no side above 65500"):
        protocol(np.zeros((66_000, 2, 3), np.uint8))


def test_resize_to_an_image_that_fills_the_memory_raises() -> None:
    image = np.broadcast_to(np.zeros(3, np.uint8), (4000, 1100, 3))
    with pytest.raises(ValueError, match="8800 × 32000 pixels"):
        Resize(8)(image=image)
