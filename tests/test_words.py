"""Test images are degraded as the words say, and wrong words are refused in one line."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from genspot.augment.degradations import Resize, degradations

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 31, 3), dtype=np.uint8)


def degraded(words: str) -> np.ndarray:
    compose = degradations(words)
    assert compose is not None
    image: np.ndarray = compose(image=IMAGE)["image"]
    return image


def by_pil(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_none_is_nothing() -> None:
    assert degradations("none") is None


def test_blur_is_scipys_in_place() -> None:
    expected = [gaussian_filter(IMAGE[..., c], 1.5, output=np.uint8) for c in range(3)]
    np.testing.assert_array_equal(degraded("blur_1.5"), np.stack(expected, -1))


def test_jpeg_is_pils() -> None:
    np.testing.assert_array_equal(degraded("jpeg_40"), by_pil(IMAGE, 40))


@pytest.mark.parametrize(("scale", "size"), [(0.5, (20, 16)), (2, (80, 62)), (0.01, (1, 1))])
def test_resizing_scales_both_sides(scale: float, size: tuple[int, int]) -> None:
    expected = Image.fromarray(IMAGE).resize(size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(degraded(f"resize_{scale}"), np.asarray(expected))


def test_a_chain_is_applied_in_its_order() -> None:
    small = Resize(0.5).apply(IMAGE)
    np.testing.assert_array_equal(degraded("resize_0.5+jpeg_75"), by_pil(small, 75))
    assert degraded("jpeg_75+resize_0.5").tobytes() != by_pil(small, 75).tobytes()


@pytest.mark.parametrize("words", ["", "blur", "blur_", "blur_x", "jpeg_0", "jpeg_7.5"])
@pytest.mark.parametrize("after", ["", "jpeg_75+"])
def test_wrong_words_are_one_line(words: str, after: str) -> None:
    with pytest.raises(ValueError, match="degrade=") as error:
        degradations(after + words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", ["resize_0", "resize_-1", "resize_nan", "noise_1", "Blur_1"])
def test_what_cannot_be_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match=f"degrade={words}"):
        degradations(words)
