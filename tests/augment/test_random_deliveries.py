"""Random deliveries against what PIL makes of the same photo, and the ranges that they are of."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genspot.augment.random_deliveries import FILTERS, RandomDeliveries
from genspot.common.errors import GenspotError
from helpers.arrays import make_photo


def seeded(seed: int, **settings: Any) -> RandomDeliveries:
    transform = RandomDeliveries(**{"p": 1, **settings})
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return transform


def by_pil(image: np.ndarray, kind: str, **options: Any) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return np.array(Image.open(buffer).convert("RGB"))


def test_one_jpeg_is_that_of_pil() -> None:
    photo = make_photo(40, 56, 1)
    found = seeded(0, chain=1, scaled=0, quality=71, webp=0)(image=photo)["image"]
    both = [by_pil(photo, "JPEG", quality=71, subsampling=one) for one in ("4:2:0", "4:4:4")]
    assert any(np.array_equal(found, one) for one in both)


def test_one_webp_is_that_of_pil() -> None:
    photo = make_photo(40, 56, 1)
    found = seeded(0, chain=1, scaled=0, quality=71, webp=1)(image=photo)["image"]
    np.testing.assert_array_equal(found, by_pil(photo, "WEBP", quality=71))


def test_scaled_delivery_is_that_of_one_of_the_filters() -> None:
    photo = make_photo(80, 60, 1)
    found = seeded(0, chain=1, scaled=1, scale=0.5, quality=90, webp=1)(image=photo)["image"]
    each = [np.array(Image.fromarray(photo).resize((30, 40), one)) for one in FILTERS]
    assert any(np.array_equal(found, by_pil(one, "WEBP", quality=90)) for one in each)


def test_chain_repeats_up_to_its_length_and_draws_all_lengths_alike_often() -> None:
    transform = seeded(0, chain=3)
    lengths = [len(transform.get_params()["steps"]) for _ in range(3000)]
    counts = np.bincount(lengths, minlength=4)
    assert counts[0] == 0 and len(counts) == 4
    np.testing.assert_allclose(counts[1:] / 3000, 1 / 3, atol=0.04)


def test_draws_stay_in_their_ranges_and_have_their_shares() -> None:
    transform = seeded(3, chain=2, scale=[0.5, 1.25], scaled=0.5, quality=[60, 99], webp=0.2)
    steps = [step for _ in range(3000) for step in transform.get_params()["steps"]]
    qualities = {step.quality for step in steps}
    assert qualities == set(range(60, 100))
    scales = np.array([step.scale for step in steps])
    assert scales.min() >= 0.5 and scales.max() <= 1.25
    assert np.mean(scales == 1) == pytest.approx(0.5, abs=0.03)
    assert np.mean([step.codec == "webp" for step in steps]) == pytest.approx(0.2, abs=0.03)


def test_draws_do_not_depend_on_the_image_so_that_classes_are_delivered_alike() -> None:
    first, second = seeded(5), seeded(5)
    for seed in range(20):
        sizes = [make_photo(30, 30, seed), make_photo(41, 77, seed + 1)]
        first(image=sizes[0]), second(image=sizes[1])
        assert first.get_params() == second.get_params()


@pytest.mark.parametrize(("side", "expected"), [(100, 80), (60, 60), (40, 40)])
def test_no_image_becomes_smaller_than_the_least_side(side: int, expected: int) -> None:
    transform = seeded(1, chain=8, scale=0.3, scaled=1, min_side=80)
    shape = transform(image=make_photo(side, 2 * side, 2))["image"].shape
    assert min(shape[:2]) == expected


def test_a_chain_of_thin_images_keeps_at_least_a_pixel() -> None:
    found = seeded(1, chain=8, scale=0.1, scaled=1)(image=np.full((1, 300, 3), 90, np.uint8))
    assert found["image"].shape[0] == 1 and found["image"].size


def test_an_image_is_left_alone_with_the_rest_of_the_probability() -> None:
    photo = make_photo(24, 24, 1)
    transform = seeded(2, p=0.7, quality=60)
    same = [np.array_equal(transform(image=photo)["image"], photo) for _ in range(400)]
    assert np.mean(same) == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize(
    "settings",
    [
        {"chain": 0},
        {"chain": 9},
        {"chain": 1.5},
        {"scale": 0},
        {"scale": [1, 0.5]},
        {"scale": 5},
        {"scaled": 1.1},
        {"quality": 0},
        {"quality": [60.5, 70]},
        {"quality": "high"},
        {"webp": -0.1},
        {"min_side": 0},
        {"min_side": None},
    ],
    ids=str,
)
def test_setting_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(GenspotError, match=next(iter(settings))):
        RandomDeliveries(**settings)
