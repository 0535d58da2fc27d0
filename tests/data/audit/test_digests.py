"""Digests, thumbnails and the perceptual hash."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from genspot.data.audit.digests import digest, perceptual_hash, pixel_digest, thumbnail
from helpers import faulty_sets

TILES = [np.asarray(tile) for tile in faulty_sets.draw(0, 20)[0]]


def plain_hash(grey: np.ndarray) -> int:
    """Return the hash of a 32×32 image by plain loops."""

    def coefficient(u: int, v: int) -> float:
        total = sum(
            float(grey[y, x])
            * math.cos(math.pi * u * (2 * y + 1) / 64)
            * math.cos(math.pi * v * (2 * x + 1) / 64)
            for y in range(32)
            for x in range(32)
        )
        return total * (math.sqrt(0.5) if u == 0 else 1) * (math.sqrt(0.5) if v == 0 else 1)

    values = [coefficient(u, v) for u in range(8) for v in range(8)]
    middle = sum(sorted(values)[31:33]) / 2
    return int("".join("1" if value > middle else "0" for value in values), 2)


def bits_apart(first: int, second: int) -> int:
    return (first ^ second).bit_count()


def test_perceptual_hash_is_that_of_plain_loops() -> None:
    for tile in TILES[:3]:
        assert perceptual_hash(thumbnail(tile)) == plain_hash(thumbnail(tile))


def test_hash_is_near_for_a_compressed_and_resized_copy_and_far_for_another_image() -> None:
    hashes = [perceptual_hash(thumbnail(tile)) for tile in TILES]
    for tile, own in zip(TILES, hashes, strict=True):
        copy = faulty_sets.jpeg_once(Image.fromarray(tile).resize((90, 90)), 60)
        assert bits_apart(own, perceptual_hash(thumbnail(np.asarray(copy)))) <= 6
    others = [bits_apart(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(others) > 6


def test_thumbnail_is_the_mean_over_areas() -> None:
    areas = TILES[0][:128, :96].reshape(32, 4, 32, 3, 3).mean(axis=(1, 3))
    expected = areas @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(thumbnail(TILES[0][:128, :96]), expected, atol=1.5)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 70, 3), (300, 2, 3)])
def test_thumbnail_of_any_shape_is_32_by_32(shape: tuple[int, int, int]) -> None:
    grey = thumbnail(np.full(shape, 200, np.uint8))
    assert grey.shape == (32, 32) and grey.dtype == np.uint8 and (grey == 200).all()


def test_digests_are_equal_for_equal_pixels_of_one_shape_only() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert pixel_digest(image) == pixel_digest(np.asfortranarray(image))
    assert pixel_digest(image) != pixel_digest(image.reshape(2, 8, 3))
    assert pixel_digest(image) != pixel_digest(image[::-1])
    assert len(digest(b"a")) == 16 and digest(b"a") != digest(b"b")
