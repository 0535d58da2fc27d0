"""Images are read, resized and cut as torchvision and PIL would."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from genspot.data.image_io import centre_crop, pad, random_crop, read, resize

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 40)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    # No zeros, so that padding can be told from the image.
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=50, deadline=None)
@example(15, 16, 12, 0)
@example(17, 15, 12, 0)
@example(7, 30, 12, 0)
@example(1, 1, 12, 0)
@given(sides, sides, sides, seeds)
def test_centre_crop_equals_torchvision(height: int, width: int, size: int, seed: int) -> None:
    image = noise(height, width, seed)
    expected = functional.center_crop(Image.fromarray(image), [size])
    np.testing.assert_array_equal(centre_crop(image, size), np.asarray(expected))


@settings(max_examples=50, deadline=None)
@given(sides, sides, st.integers(1, 20), seeds)
def test_random_crop_is_a_window_of_the_image(
    height: int, width: int, size: int, seed: int
) -> None:
    rows, columns = np.mgrid[1 : height + 1, 1 : width + 1]
    image = np.stack([rows, columns, rows * 0 + 7], axis=-1).astype(np.uint8)
    window = random_crop(image, size, random.Random(seed))
    assert window.shape == (size, size, 3)
    inside = window[window[..., 2] > 0]
    assert len(inside) == min(height, size) * min(width, size)
    for axis, side in ((0, height), (1, width)):
        values = np.unique(inside[:, axis])
        np.testing.assert_array_equal(values, values[0] + np.arange(min(side, size)))


def test_random_crop_reaches_every_position_equally_often() -> None:
    rows, columns = np.mgrid[:12, :9]
    image = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
    draws = random.Random(0)
    counts = np.zeros((5, 2))
    for _ in range(2000):
        top, left, _ = random_crop(image, 8, draws)[0, 0]
        counts[top, left] += 1
    np.testing.assert_allclose(counts / 2000, 0.1, atol=0.03)


def test_random_crop_of_the_exact_size_is_the_image() -> None:
    image = noise(8, 8)
    np.testing.assert_array_equal(random_crop(image, 8, random.Random(0)), image)


@settings(max_examples=25, deadline=None)
@given(sides, sides, sides)
def test_pad_surrounds_with_zeros(height: int, width: int, size: int) -> None:
    image = noise(height, width)
    padded = pad(image, size)
    assert padded.shape == (max(height, size), max(width, size), 3)
    top, left = max(0, size - height) // 2, max(0, size - width) // 2
    np.testing.assert_array_equal(padded[top : top + height, left : left + width], image)
    assert np.count_nonzero(padded) == image.size


@settings(max_examples=25, deadline=None)
@given(sides, sides, sides)
def test_read_resizes_as_torchvision_on_pil(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("read") / "photo.png"
    photo = Image.fromarray(noise(height, width))
    photo.save(path)
    np.testing.assert_array_equal(read(str(path)), np.asarray(photo))
    expected = np.asarray(functional.resize(photo, [size]))
    assert min(expected.shape[:2]) == size
    np.testing.assert_array_equal(resize(read(str(path)), size), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_read_gives_rgb_whatever_the_mode(tmp_path: Path, mode: str) -> None:
    photo = Image.fromarray(noise(6, 10))
    path = tmp_path / ("photo.tif" if mode in ("CMYK", "YCbCr") else "photo.png")
    converted = photo.convert(mode)
    converted.save(path, **({"transparency": 0} if mode == "P" else {}))
    image = read(str(path))
    assert image.shape == (6, 10, 3) and image.dtype == np.uint8 and image.flags.writeable
    np.testing.assert_array_equal(image, np.asarray(converted.convert("RGB")))


def test_read_of_cmyk_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (10, 6), (200, 100, 50)).convert("CMYK").save(path, quality=95)
    image = read(str(path))
    assert image.shape == (6, 10, 3)
    assert np.abs(image.astype(int) - [200, 100, 50]).max() < 10


def test_read_raises_on_a_broken_or_truncated_file(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(noise(64, 64)).save(whole)
    broken = tmp_path / "broken.jpg"
    for content in (b"", b"no image", whole.read_bytes()[:-600]):
        broken.write_bytes(content)
        with pytest.raises(OSError):
            read(str(broken))
