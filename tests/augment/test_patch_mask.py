"""Patches that are blacked out: which, how many, and how often."""

from __future__ import annotations

import random

import albumentations
import numpy as np
import pytest

from genspot.augment.patch_mask import PatchMask
from genspot.common.errors import GenspotError
from helpers.arrays import make_noise


def masked(image: np.ndarray, seed: int, **arguments: float) -> np.ndarray:
    transform = albumentations.Compose([PatchMask(**({"p": 1.0} | arguments))])  # type: ignore[arg-type]
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    result: np.ndarray = transform(image=image)["image"]
    return result


def black_patches(image: np.ndarray, result: np.ndarray, side: int) -> list[bool]:
    """Whether each patch is black; the others must be as they were."""
    found = []
    for top in range(0, len(image), side):
        for left in range(0, len(image[0]), side):
            window = np.s_[top : top + side, left : left + side]
            found.append(not result[window].any())
            if not found[-1]:
                np.testing.assert_array_equal(result[window], image[window])
    return found


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 50), (1, 1), (16, 17), (5, 200)])
def test_whole_patches_are_black_and_the_rest_is_as_it_was(height: int, width: int) -> None:
    image = np.maximum(make_noise(height, width, 0), 1)
    before = image.copy()
    counts = [sum(black_patches(image, masked(image, seed), 16)) for seed in range(50)]
    total = -(-height // 16) * -(-width // 16)
    assert max(counts) <= round(0.75 * total) and len(set(counts)) > (total > 2)
    np.testing.assert_array_equal(image, before)


def test_share_is_uniform_up_to_its_maximum_and_each_patch_as_often() -> None:
    image = np.full((40, 40, 3), 7, np.uint8)
    black = np.array(
        [black_patches(image, masked(image, seed, side=4), 4) for seed in range(2000)]
    )
    shares = black.mean(axis=1)
    assert np.histogram(shares, 3, (0, 0.75))[0] / 2000 == pytest.approx([1 / 3] * 3, abs=0.05)
    assert black.mean(axis=0) == pytest.approx([0.375] * 100, abs=0.06)


def test_probability_and_draws_follow_the_random_state() -> None:
    image = np.full((64, 64, 3), 7, np.uint8)
    changed = [not np.array_equal(masked(image, seed, p=0.5), image) for seed in range(400)]
    assert np.mean(changed) == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(masked(image, 3), masked(image, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"side": 0}, "side=0"),
        ({"side": 1.5}, r"side=1\.5 is not a whole number"),
        ({"max_share": 1.1}, r"max_share=1\.1"),
        ({"max_share": -0.1}, r"max_share=-0\.1"),
    ],
)
def test_value_out_of_range_is_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(GenspotError, match=message):
        PatchMask(**arguments)  # type: ignore[arg-type]
