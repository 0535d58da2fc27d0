"""JPEG against PIL and OpenCV."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genspot.augment.jpeg import CODECS, JPEG
from genspot.common.errors import GenspotError
from helpers.arrays import compress_by_pil, make_photo


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


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_memory_layout_does_not_matter(codec: str) -> None:
    image = make_photo(40, 30, 5)
    for view in (image.transpose(1, 0, 2)[::-1], image[:, ::2], np.asfortranarray(image)):
        expected = compress_by_pil(np.ascontiguousarray(view), 70)
        np.testing.assert_array_equal(CODECS[codec](view, 70), expected)


@pytest.mark.parametrize(
    "options",
    [{"quality": value} for value in (0, 101, (30, 101), (90, 30), 65.5, (30, 50.5), None, "39")]
    + [{"codecs": value} for value in ((), ["webp"], ["pil", "CV2"], "pil", None)],
    ids=repr,
)
def test_jpeg_invalid_option_raises_one_line(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(GenspotError, match=rf"{name}.+\Z"):
        JPEG(**options)
