"""Deliveries against the sizes and files that their sources describe, made by hand with PIL."""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from genspot.augment.deliveries import DELIVERIES, SIGNAL_BYTES, Delivery, encode_jpeg
from helpers.arrays import compress_by_pil, make_noise, make_photo
from helpers.settings import ROOT

BY_NAME = {delivery.name: delivery for delivery in DELIVERIES}
PHONE = (3000, 4000)  # height and width of a phone's photo in pixels


def delivered_size(name: str, height: int, width: int) -> tuple[int, int]:
    """Return height and width of a black photo as delivered."""
    result = BY_NAME[name](np.zeros((height, width, 3), np.uint8))
    return result.shape[0], result.shape[1]


def test_deliveries_are_a_dozen_with_distinct_names() -> None:
    assert len(BY_NAME) == len(DELIVERIES) == 12


@pytest.mark.parametrize("delivery", DELIVERIES, ids=lambda delivery: delivery.name)
def test_delivery_of_a_photo_is_another_photo_and_the_same_each_time(delivery: Delivery) -> None:
    photo = make_photo(150, 200, 3)
    before = photo.copy()
    first, second = delivery(photo), delivery(photo)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(photo, before)
    assert first.dtype == np.uint8 and first.shape[2] == 3
    assert first.shape != photo.shape or not np.array_equal(first, photo)


@pytest.mark.parametrize("delivery", DELIVERIES, ids=lambda delivery: delivery.name)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (900, 1, 3)], ids=str)
def test_delivery_of_a_tiny_or_thin_photo_is_a_photo(
    delivery: Delivery, shape: tuple[int, ...]
) -> None:
    result = delivery(np.full(shape, 90, np.uint8))
    assert result.size and abs(float(result.mean()) - 90) < 3


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("whatsapp", (1200, 1600)),
        ("signal", (1200, 1600)),
        ("telegram", (960, 1280)),
        ("delta_chat", (480, 640)),
        ("facebook", (1536, 2048)),
        ("instagram", (1080, 1440)),
        ("x_small", (510, 680)),
        ("mastodon", (1109, 1478)),  # 4:3 of 1,638,400 pixels: 1478.0 × 1108.5
        ("bluesky", (1500, 2000)),
        ("misskey_preview", (280, 373)),
        ("screenshot", (810, 1080)),
        ("cropped", (2400, 3200)),
    ],
)
def test_delivery_of_a_phones_photo_has_the_size_of_its_source(
    name: str, size: tuple[int, int]
) -> None:
    assert delivered_size(name, *PHONE) == size


def test_delivery_enlarges_only_where_its_source_says() -> None:
    sizes = {name: delivered_size(name, 256, 256) for name in BY_NAME}
    others = {"screenshot": (1080, 1080), "instagram": (320, 320), "cropped": (205, 205)}
    assert sizes == dict.fromkeys(BY_NAME, (256, 256)) | others


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 400), (500, 400)), ((400, 1000), (400, 764))], ids=str
)
def test_instagram_delivery_crops_at_the_centre_to_its_range_of_shapes(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    photo = np.zeros((*size, 3), np.uint8)
    photo[size[0] // 2 - 50 : size[0] // 2 + 50, size[1] // 2 - 50 : size[1] // 2 + 50] = 255
    result = BY_NAME["instagram"](photo)
    assert result.shape[:2] == expected
    rows, columns = np.nonzero(result[..., 1] > 127)
    middle = (rows.mean() + 0.5, columns.mean() + 0.5)
    assert middle == pytest.approx((expected[0] / 2, expected[1] / 2), abs=1)


@pytest.mark.parametrize(("name", "quality"), [("whatsapp", 75), ("telegram", 80)])
def test_delivery_of_a_small_photo_is_one_jpeg_of_its_quality(name: str, quality: int) -> None:
    photo = make_photo(90, 120, 5)
    np.testing.assert_array_equal(BY_NAME[name](photo), compress_by_pil(photo, quality))


def test_mastodon_delivery_keeps_the_full_resolution_of_colours() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 200, 200  # red and blue columns
    kept = BY_NAME["mastodon"](stripes).astype(int)
    mixed = compress_by_pil(stripes, 90).astype(int)
    assert np.abs(kept - stripes).mean() < 0.2 * np.abs(mixed - stripes).mean()


def test_misskey_delivery_is_a_lossy_webp() -> None:
    photo = make_photo(90, 120, 5)
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "WEBP", quality=77)
    np.testing.assert_array_equal(
        BY_NAME["misskey_preview"](photo), np.array(Image.open(buffer).convert("RGB"))
    )


def test_signal_delivery_of_noise_takes_the_first_size_whose_file_is_small_enough() -> None:
    noise = make_noise(1600, 1600, 1)
    assert len(encode_jpeg(Image.fromarray(noise), 70)) > SIGNAL_BYTES
    result = BY_NAME["signal"](noise)
    assert result.shape == (1024, 1024, 3)
    smaller = Image.fromarray(noise).resize((1024, 1024), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(result, compress_by_pil(np.asarray(smaller), 70))


def test_bluesky_delivery_of_noise_takes_the_highest_quality_whose_file_is_small_enough() -> None:
    noise = make_noise(1000, 1000, 2)
    qualities = range(100, 10, -10)
    fitting = [one for one in qualities if len(encode_jpeg(Image.fromarray(noise), one)) <= 1e6]
    assert fitting and fitting[0] < 100
    np.testing.assert_array_equal(BY_NAME["bluesky"](noise), compress_by_pil(noise, fitting[0]))


def test_delivery_whose_file_is_never_small_enough_takes_the_last_attempt() -> None:
    attempts = BY_NAME["bluesky"].attempts[-2:]
    photo = make_photo(40, 40, 1)
    result = Delivery("tiny", "", attempts, max_bytes=10)(photo)
    np.testing.assert_array_equal(result, compress_by_pil(photo, 20))


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("mastodon", (1, 70_000, 3), "70000 × 1 pixels: JPEG holds no side above 65500"),
        ("cropped", (90_000, 1, 3), "1 × 72000 pixels: JPEG holds no side above 65500"),
    ],
)
def test_delivery_of_a_photo_that_no_file_holds_raises_one_line(
    name: str, shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(reason) + r"\Z"):
        BY_NAME[name](np.zeros(shape, np.uint8))


def test_deliveries_do_not_import_the_libraries_of_a_training() -> None:
    program = "import sys, genspot.augment.deliveries; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert not set(result.stdout.split()) & {"torch", "albumentations", "cv2"}
