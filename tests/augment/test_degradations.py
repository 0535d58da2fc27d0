"""Degradations of test images against SciPy and PIL."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from genspot.augment.degradations import Resize, parse_degradations
from genspot.common.errors import GenspotError
from helpers.arrays import make_noise

IMAGE = make_noise(40, 31, 0)


def degrade(degradations: str) -> np.ndarray:
    transform = parse_degradations(degradations)
    assert transform is not None
    image: np.ndarray = transform(image=IMAGE)["image"]
    return image


def compress_by_pil(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_parse_none_gives_no_transform() -> None:
    assert parse_degradations("none") is None


def test_blur_equals_scipy_in_place() -> None:
    expected = [gaussian_filter(IMAGE[..., c], 1.5, output=np.uint8) for c in range(3)]
    np.testing.assert_array_equal(degrade("blur_1.5"), np.stack(expected, -1))


def test_jpeg_equals_pil() -> None:
    np.testing.assert_array_equal(degrade("jpeg_40"), compress_by_pil(IMAGE, 40))


@pytest.mark.parametrize(("scale", "size"), [(0.5, (20, 16)), (2, (80, 62)), (0.01, (1, 1))])
def test_resize_scales_both_sides(scale: float, size: tuple[int, int]) -> None:
    expected = Image.fromarray(IMAGE).resize(size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(degrade(f"resize_{scale}"), np.asarray(expected))


def test_chain_is_applied_in_its_order() -> None:
    resized = Resize(0.5).apply(IMAGE)
    np.testing.assert_array_equal(degrade("resize_0.5+jpeg_75"), compress_by_pil(resized, 75))
    assert degrade("jpeg_75+resize_0.5").tobytes() != compress_by_pil(resized, 75).tobytes()


@pytest.mark.parametrize(
    "text",
    ["", "blur", "blur_", "blur_x", "blur_-1", "jpeg_0", "jpeg_7.5", "resize_0", "resize_-1"]
    + ["resize_nan", "noise_1", "Blur_1"],
)
@pytest.mark.parametrize("prefix", ["", "jpeg_75+"])
def test_parse_invalid_degradation_raises_one_line(text: str, prefix: str) -> None:
    with pytest.raises(GenspotError, match=f"degradations={text}: ") as error:
        parse_degradations(prefix + text)
    assert "\n" not in str(error.value)
