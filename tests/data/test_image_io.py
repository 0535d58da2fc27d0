"""Images are read, resized and cropped as by torchvision and PIL; odd files are refused."""

from __future__ import annotations

import random
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from genspot.data import image_io
from genspot.data.image_io import centre_crop, random_crop, read, resize
from helpers.image_bytes import make_gradients
from helpers.odd_images import AS_PIL, DEEP_GREY, HEIGHT, REFUSED, WIDTH

# pytest replaces the warning filters of genspot.data.image_io.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 40)


def make_nonzero_noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return noise without zeros, to tell padding from the image."""
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=50, deadline=None)
@example(15, 16, 12, 0)
@example(17, 15, 12, 0)
@example(7, 30, 12, 0)
@example(1, 1, 12, 0)
@given(sides, sides, sides, seeds)
def test_centre_crop_equals_torchvision(height: int, width: int, size: int, seed: int) -> None:
    image = make_nonzero_noise(height, width, seed)
    expected = functional.center_crop(Image.fromarray(image), [size])
    np.testing.assert_array_equal(centre_crop(image, size), np.asarray(expected))


def test_random_crop_takes_every_position_equally_often() -> None:
    rows, columns = np.mgrid[:12, :9]
    image = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
    rng = random.Random(0)
    counts = np.zeros((5, 2))
    for _ in range(2000):
        top, left, _ = random_crop(image, 8, rng)[0, 0]
        counts[top, left] += 1
    np.testing.assert_allclose(counts / 2000, 0.1, atol=0.03)


def test_crops_of_a_long_thin_image_take_little_memory() -> None:
    thin = np.full((1, 3_000_000, 3), 9, np.uint8)
    for cut in (centre_crop, lambda *args: random_crop(*args, random.Random(0))):
        tracemalloc.start()
        window = cut(thin, 224)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert window.shape == (224, 224, 3) and window.sum() == 9 * 224 * 3 and peak < 1e6
        assert (window[111] == 9).all()


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides | st.tuples(sides, sides))
def test_resize_equals_torchvision_on_pil(
    height: int, width: int, size: int | tuple[int, int]
) -> None:
    image = make_nonzero_noise(height, width)
    expected = functional.resize(Image.fromarray(image), [size] if isinstance(size, int) else size)
    np.testing.assert_array_equal(resize(image, size), np.asarray(expected))
    assert resize(image, None) is image


@pytest.mark.parametrize(
    ("height", "width", "size", "allowed"),
    [(1, 99, 64, True), (1, 100, 64, False), (20_000, 1, 64, False), (1, 5_000, 8, True)],
)
def test_resize_to_more_than_max_pixels_raises(
    height: int, width: int, size: int, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_io, "MAX_PIXELS", 64 * 64 * 99)
    image = make_gradients(height, width)
    if allowed:
        assert min(resize(image, size).shape[:2]) == size
        return
    message = f"{width} × {height} pixels, resized to 64"
    with pytest.raises(image_io.UnreadableError, match=message):
        resize(image, size)


@pytest.mark.parametrize("kind", AS_PIL)
def test_read_odd_file_returns_pils_pixels(kind: str, tmp_path: Path) -> None:
    name, content = AS_PIL[kind]
    (tmp_path / name).write_bytes(content)
    pixels = read(str(tmp_path / name))
    assert pixels.dtype == np.uint8 and pixels.flags.writeable
    with Image.open(BytesIO(content)) as file:
        np.testing.assert_array_equal(pixels, np.asarray(file.convert("RGB")))


def test_read_keeps_orientation_drops_transparency_and_takes_the_first_frame(
    tmp_path: Path,
) -> None:
    photo = make_gradients(HEIGHT, WIDTH)
    for kind, expected in (
        ("rotated TIFF", np.rot90(photo, -1)),  # PIL rotates TIFF alone
        ("RGBA", photo),
        ("animated PNG", photo),
        ("two pages", photo),
    ):
        name, content = AS_PIL[kind]
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read(str(tmp_path / name)), expected)


@pytest.mark.parametrize("kind", DEEP_GREY)
def test_read_deep_grey_returns_its_upper_8_bits(kind: str, tmp_path: Path) -> None:
    name, content, expected = DEEP_GREY[kind]
    (tmp_path / name).write_bytes(content)
    pixels = read(str(tmp_path / name))
    assert pixels.dtype == np.uint8 and pixels.flags.writeable
    np.testing.assert_array_equal(pixels, np.stack([expected] * 3, axis=-1))


@pytest.mark.parametrize("kind", REFUSED)
def test_read_refused_file_raises_with_a_reason_and_takes_little_memory(
    kind: str, tmp_path: Path
) -> None:
    name, content, expected = REFUSED[kind]
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(Exception) as error:
            read(str(tmp_path / name))
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
    reason = image_io.describe_error(error.value)
    assert expected in reason and len(reason.splitlines()) == 1
