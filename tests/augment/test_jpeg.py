"""JPEG against PIL and OpenCV."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from genspot.augment.jpeg import CODECS, JPEG
from helpers.arrays import make_photo


def compress_by_pil(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(image, "RGB").save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def compress_by_opencv(image: np.ndarray, quality: int) -> np.ndarray:
    """Return what the published code makes of `image`."""
    encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[:, :, ::-1]


@settings(max_examples=100, deadline=None)
@example(1, 17, 65, 0)
@example(17, 1, 65, 0)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_codecs_equal_their_libraries(height: int, width: int, quality: int, seed: int) -> None:
    image = make_photo(height, width, seed)
    before = image.copy()
    references = {"cv2": compress_by_opencv, "pil": compress_by_pil}
    for name, codec in CODECS.items():
        compressed = codec(image, quality)
        assert compressed.dtype == np.uint8 and compressed.flags.c_contiguous
        np.testing.assert_array_equal(compressed, references[name](image, quality))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_codecs_give_the_same_bits_at_every_published_quality(size: tuple[int, int]) -> None:
    image = make_photo(*size, seed=1)
    for quality in range(30, 101):
        compressed = [codec(image, quality) for codec in CODECS.values()]
        np.testing.assert_array_equal(*compressed, err_msg=f"quality {quality}")


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_memory_layout_does_not_matter(codec: str) -> None:
    image = make_photo(40, 30, 5)
    for view in (image.transpose(1, 0, 2)[::-1], image[:, ::2], np.asfortranarray(image)):
        expected = compress_by_pil(np.ascontiguousarray(view), 70)
        np.testing.assert_array_equal(CODECS[codec](view, 70), expected)


def test_jpeg_quality_range_is_drawn_uniformly_with_both_ends() -> None:
    transform = JPEG(quality=(30, 34), p=1)
    transform.set_random_state(np.random.default_rng(0), random.Random(0))
    qualities = [transform.get_params()["quality"] for _ in range(2000)]
    assert set(qualities) == {30, 31, 32, 33, 34}
    assert np.bincount(qualities)[30:] / 2000 == pytest.approx([0.2] * 5, abs=0.05)
    single = JPEG(quality=65, codecs=["pil"])
    assert single.get_params() == {"quality": 65, "codec": "pil"}


@pytest.mark.parametrize(
    "quality",
    [0, 101, (30, 101), (0, 50), (90, 30), 65.5, (30, 50.5), (1, 2, 3), None, "high", "39"],
    ids=repr,
)
def test_jpeg_invalid_quality_raises_one_line(quality: Any) -> None:
    with pytest.raises(ValueError, match="qualit") as error:
        JPEG(quality=quality)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("codecs", [(), ["webp"], ["pil", "CV2"], "pil", None], ids=repr)
def test_jpeg_invalid_codecs_raise_one_line(codecs: Any) -> None:
    with pytest.raises(ValueError, match="codecs") as error:
        JPEG(codecs=codecs)
    assert "\n" not in str(error.value)
