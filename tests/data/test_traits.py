from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from genspot.common.images import UnreadableError
from genspot.data import image_io
from genspot.data.traits import (
    AHEAD,
    TRAIT_SCHEMA,
    colour_share,
    find_traits,
    flat_share,
    read_traits,
)
from helpers.image_bytes import encode


def smooth(side: int = 160, seed: int = 0) -> Image.Image:
    """Return noise without much detail, which JPEG leaves its traces in."""
    noise = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_quality_of_jpeg_is_that_of_the_file_and_of_the_traces_in_png(
    quality: int, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(smooth(), "JPEG", quality=quality))
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.png")
    of_file, of_traces = (find_traits(f"{tmp_path}/a.{end}", 1) for end in ("jpg", "png"))
    assert (of_file["format"], of_traces["format"]) == ("JPEG", "PNG")
    assert of_file["jpeg_quality"] == quality
    assert of_traces["jpeg_quality"] == pytest.approx(quality, abs=3)
    assert (of_file["width"], of_file["height"]) == (160, 160)


def test_photo_without_jpeg_has_no_quality(tmp_path: Path) -> None:
    smooth().save(tmp_path / "a.png")
    assert find_traits(f"{tmp_path}/a.png", 1)["jpeg_quality"] is None


def test_colour_share_is_of_the_four_most_frequent_of_32_levels() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[5:] = np.arange(50).reshape(5, 10, 1) * 8 % 256 + (np.arange(3) == 2) * 4
    image[0, 0] = 7  # as black as black: of the same level
    assert colour_share(image) == pytest.approx((50 + 2 + 3 * 2) / 100)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert colour_share(noise) < 0.01
    assert colour_share(np.full((9, 9, 3), 255, np.uint8)) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_traits_of_a_file_in_memory_and_of_its_pixels_are_those_of_the_file(
    kind: str, tmp_path: Path
) -> None:
    content = encode(smooth(), kind)
    (tmp_path / "a").write_bytes(content)
    expected = find_traits(f"{tmp_path}/a", 1)
    assert find_traits("upload", 1, content) == expected
    pixels = image_io.read_bytes("upload", content)
    assert find_traits("upload", 1, content, pixels) == expected
    assert find_traits("upload", 1, content, pixels[:80])["height"] == 80  # not decoded again


def test_traits_of_a_file_in_memory_that_is_too_large_are_refused() -> None:
    with pytest.raises(UnreadableError, match="max_megapixels=1"):
        find_traits("upload", 1, encode(Image.new("L", (1001, 1000)), "PNG"))


@pytest.mark.parametrize("workers", [0, 3])
def test_read_traits_keeps_the_order_of_the_photos(workers: int, tmp_path: Path) -> None:
    for number in range(8):
        Image.new("RGB", (40 + number, 50)).save(tmp_path / f"{number}.png")
    order = [number % 8 for number in range(AHEAD + 7)]
    paths = pa.chunked_array([[f"{tmp_path}/{number}.png" for number in order]])
    table = read_traits(paths, workers, 1, "traits")
    assert table["width"].to_pylist() == [40 + number for number in order]


def test_flat_share_counts_neighbours_of_nearly_one_colour() -> None:
    image = np.zeros((2, 5, 3), np.uint8)
    image[0] = [[0, 0, 0], [1, 0, 0], [1, 2, 0], [1, 2, 0], [200, 2, 0]]
    assert flat_share(image) == 6 / 8  # in the first row 2 of 4 steps, in the second all
    assert flat_share(np.full((4, 1, 3), 9, np.uint8)) == 0


def test_read_traits_has_a_row_for_each_photo_also_where_it_cannot_be_read(
    tmp_path: Path,
) -> None:
    smooth().save(tmp_path / "a.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    paths = [f"{tmp_path}/{name}.png" for name in ("none", "a", "torn", "a")]
    table = read_traits(pa.chunked_array([paths]), 0, 1, "traits")
    assert table.schema == TRAIT_SCHEMA
    assert table["width"].to_pylist() == [None, 160, None, 160]
    assert table.slice(0, 1).to_pylist() == [dict.fromkeys(TRAIT_SCHEMA.names)]
