"""Images are read, resized and cropped as by torchvision and PIL; odd files are refused."""

from __future__ import annotations

import random
import tracemalloc
from io import BytesIO
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from genspot.data import image_io
from genspot.data.image_io import centre_crop, random_crop, read, resize
from helpers.image_bytes import encode, make_gradients
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
    [(1, 100, 100, True), (1, 101, 100, False), (20_000, 1, 64, False), (1, 5_000, 8, True)],
)
def test_resize_to_more_than_max_megapixels_raises(
    height: int, width: int, size: int, allowed: bool
) -> None:
    image = make_gradients(height, width)
    if allowed:
        assert min(resize(image, size, max_megapixels=1).shape[:2]) == size
        return
    message = f"{width} × {height} pixels, resized to {size}"
    with pytest.raises(image_io.UnreadableError, match=message):
        resize(image, size, max_megapixels=1)


@pytest.mark.parametrize("kind", [*AS_PIL, "16-bit PNG"])
def test_read_in_strips_returns_the_same_pixels(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content = (AS_PIL | DEEP_GREY)[kind][:2]
    (tmp_path / name).write_bytes(content)
    expected = image_io.read_with_pil(str(tmp_path / name))
    monkeypatch.setattr(image_io, "STRIP_PIXELS", 5 * WIDTH)  # the last strip has fewer rows
    np.testing.assert_array_equal(image_io.read_with_pil(str(tmp_path / name)), expected)


@pytest.mark.parametrize(("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("GIF", "a.gif")])
def test_max_megapixels_is_a_limit_for_every_decoder(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(encode(Image.new("RGB", (1001, 1000)), kind))
    assert read(str(path), max_megapixels=2).shape == (1000, 1001, 3)
    with pytest.raises(image_io.UnreadableError, match=r"1001 × 1000 .* max_megapixels=1$"):
        read(str(path), max_megapixels=1)


def test_max_megapixels_above_pils_own_limit_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    Image.new("RGB", (1000, 1000)).save(tmp_path / "a.jpg")
    assert read(str(tmp_path / "a.jpg"), max_megapixels=1).shape == (1000, 1000, 3)


def test_large_photos_are_decoded_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = MagicMock()
    monkeypatch.setattr(image_io, "large_photo_lock", lock)
    monkeypatch.setattr(image_io, "LARGE_PIXELS", 1000)
    for size, uses in (((40, 25), 0), ((40, 26), 1)):
        Image.new("RGB", size).save(tmp_path / "a.jpg")
        read(str(tmp_path / "a.jpg"))
        assert lock.__enter__.call_count == lock.__exit__.call_count == uses


def test_whole_image_above_the_limit_says_what_to_do() -> None:
    image = np.broadcast_to(np.zeros(3, np.uint8), (4000, 8000, 3))
    image_io.check_whole_image(image, 32)
    with pytest.raises(image_io.UnreadableError, match=r"max_whole_megapixels=31: .* crop=N"):
        image_io.check_whole_image(image, 31)


def test_missing_memory_is_a_reason_of_its_own() -> None:
    for error in (MemoryError(), np.linalg.LinAlgError("x")):
        reason = image_io.describe_error(error)
        assert ("not enough memory" in reason) == isinstance(error, MemoryError)


def test_name_that_the_locale_lacks_is_a_reason_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.stat", lambda path: path.encode("ascii"))
    with pytest.raises(image_io.UnreadableError) as error:
        read("größe.png")
    reason = image_io.describe_error(error.value)
    assert reason.startswith("its name cannot be written in ascii") and "LC_ALL=C.UTF-8" in reason


@pytest.mark.parametrize("kind", AS_PIL)
def test_read_odd_file_returns_pils_pixels(kind: str, tmp_path: Path) -> None:
    name, content = AS_PIL[kind]
    (tmp_path / name).write_bytes(content)
    pixels = read(str(tmp_path / name))
    assert pixels.dtype == np.uint8 and pixels.flags.writeable
    with Image.open(BytesIO(content)) as file:
        np.testing.assert_array_equal(pixels, np.asarray(file.convert("RGB")))


@pytest.mark.parametrize("kind", [*AS_PIL, *DEEP_GREY, *REFUSED])
def test_read_bytes_gives_the_pixels_or_the_reason_of_the_file(kind: str, tmp_path: Path) -> None:
    name, content = (AS_PIL | DEEP_GREY | REFUSED)[kind][:2]
    path = str(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    for with_pil, read_file in ((False, read), (True, image_io.read_with_pil)):
        results = []
        for call in (
            lambda read_file=read_file: read_file(path),
            lambda with_pil=with_pil: image_io.read_bytes(path, content, with_pil=with_pil),
        ):
            try:
                results.append(call())
            except Exception as error:  # as the packed copy records it
                results.append(image_io.describe_error(error))
        if isinstance(results[0], str):
            assert results[0] == results[1]
        else:
            np.testing.assert_array_equal(*results)


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
