"""Blur and JPEG as published, alone and in a Compose from YAML."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from scipy.ndimage import gaussian_filter

import genspot.augment.blur
import genspot.augment.jpeg
from genspot.augment.blur import Blur, blur
from genspot.augment.jpeg import CODECS, JPEG

CONF = Path(__file__).parents[1] / "conf"

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 40)
sigmas = st.floats(0, 3)
qualities = st.integers(30, 100)


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo_like(height: int, width: int, seed: int) -> np.ndarray:
    coarse = noise(4, 4, seed)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(seed).normal(0, 8, smooth.shape)
    return (20 + 0.8 * smooth + grain).clip(0, 255).astype(np.uint8)


def choice(name: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [f"aug={name}"]).aug


def seeded(transform: albumentations.Compose, seed: int) -> albumentations.Compose:
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return transform


@settings(max_examples=50, deadline=None)
@example(1, 17, 1.3, 0)
@example(17, 1, 3.0, 0)
@example(1, 1, 0.7, 0)
@given(sides, sides, sigmas, seeds)
def test_exact_blur_is_the_published_in_place_filter(
    height: int, width: int, sigma: float, seed: int
) -> None:
    image = noise(height, width, seed)
    published = image.copy()
    for channel in range(3):
        plane = published[:, :, channel]
        gaussian_filter(plane, output=plane, sigma=sigma)
    before = image.copy()
    blurred = blur(image, sigma)
    assert blurred.dtype == np.uint8
    np.testing.assert_array_equal(blurred, published)
    np.testing.assert_array_equal(image, before)


@settings(max_examples=50, deadline=None)
@example(1, 17, 1.3, 0)
@given(sides, sides, sigmas, seeds)
def test_unbiased_blur_is_the_float_filter_rounded_once(
    height: int, width: int, sigma: float, seed: int
) -> None:
    image = noise(height, width, seed)
    planes = [
        gaussian_filter(image[..., c].astype(np.float32), sigma, output=np.float32)
        for c in range(3)
    ]
    blurred = blur(image, sigma, exact=False)
    assert blurred.dtype == np.uint8
    # OpenCV and SciPy sum in another order: where the sum lies between two grey levels, to
    # within float32, either may be taken.
    assert np.abs(blurred - np.stack(planes, -1)).max() < 0.5 + 1e-3


@pytest.mark.parametrize("make", [noise, photo_like])
def test_exact_blur_darkens_by_a_grey_level_and_unbiased_blur_does_not(make: Any) -> None:
    image = make(96, 96, 0)
    for exact, expected, tolerance in ((True, -0.9, 0.2), (False, 0, 0.05)):
        shifts = [
            blur(image, sigma, exact).mean() - image.mean() for sigma in np.linspace(0, 3, 31)
        ]
        assert np.mean(shifts) == pytest.approx(expected, abs=tolerance)


@settings(max_examples=50, deadline=None)
@example(1, 17, 65, 0)
@example(17, 1, 65, 0)
@given(sides, sides, qualities, seeds)
def test_both_codecs_equal_pil_on_rgb(height: int, width: int, quality: int, seed: int) -> None:
    image = photo_like(height, width, seed)
    buffer = BytesIO()
    Image.fromarray(image, "RGB").save(buffer, "JPEG", quality=quality)
    oracle = np.asarray(Image.open(buffer).convert("RGB"))
    for codec in CODECS.values():
        coded = codec(image, quality)
        assert coded.dtype == np.uint8 and coded.flags.c_contiguous
        np.testing.assert_array_equal(coded, oracle)


@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_codecs_give_the_same_bits_at_every_quality(size: tuple[int, int]) -> None:
    image = photo_like(*size, seed=1)
    for quality in range(30, 101):
        coded = [codec(image, quality) for codec in CODECS.values()]
        np.testing.assert_array_equal(*coded, err_msg=f"quality {quality}")


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_the_order_of_channels(codec: str) -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(CODECS[codec](red, 90).astype(int) - red).max() < 8


@pytest.mark.parametrize(("name", "blurs", "jpegs"), [("0.5", 0.5, 0.5), ("0.1", 0.1, 0.1)])
def test_blur_and_jpeg_are_drawn_independently(
    name: str, blurs: float, jpegs: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[Any]] = {"sigma": [], "cv2": [], "pil": []}

    def record(key: str, image: np.ndarray, value: Any) -> np.ndarray:
        seen[key].append(value)
        return image

    monkeypatch.setattr(genspot.augment.blur, "blur", lambda i, sigma, _: record("sigma", i, sigma))
    for codec in CODECS:
        monkeypatch.setitem(CODECS, codec, lambda i, q, key=codec: record(key, i, q))

    transform = seeded(instantiate(choice(f"blur_jpg_{name}").train), seed=0)
    image = np.zeros((2, 2, 3), np.uint8)
    draws = 2000
    happened = np.zeros((draws, 2), dtype=bool)
    for draw in range(draws):
        before = {key: len(values) for key, values in seen.items()}
        transform(image=image)
        new = {key: len(values) - before[key] for key, values in seen.items()}
        happened[draw] = new["sigma"], new["cv2"] + new["pil"]

    assert happened.mean(axis=0) == pytest.approx([blurs, jpegs], abs=0.05)
    assert happened.all(axis=1).mean() == pytest.approx(blurs * jpegs, abs=0.05)
    assert 0 <= min(seen["sigma"]) < 0.1 and 2.9 < max(seen["sigma"]) <= 3
    assert {30, 100} <= set(seen["cv2"] + seen["pil"]) <= set(range(30, 101))
    share = len(seen["cv2"]) / (len(seen["cv2"]) + len(seen["pil"]))
    assert share == pytest.approx(0.5, abs=0.15)


def test_ranges_are_drawn_uniformly_and_both_ends_of_quality_come_up() -> None:
    transform = JPEG(quality=(30, 34), p=1)
    transform.set_random_state(np.random.default_rng(0), random.Random(0))
    qualities = [transform.get_params()["quality"] for _ in range(2000)]
    counts = np.bincount(qualities, minlength=35)[30:]
    assert set(qualities) == {30, 31, 32, 33, 34}
    assert counts / 2000 == pytest.approx([0.2] * 5, abs=0.05)
    blurring = Blur(sigma=(1, 2), p=1)
    blurring.set_random_state(np.random.default_rng(0), random.Random(0))
    sigmas = [blurring.get_params()["sigma"] for _ in range(2000)]
    assert min(sigmas) >= 1 and max(sigmas) <= 2
    assert np.histogram(sigmas, 4, (1, 2))[0] / 2000 == pytest.approx([0.25] * 4, abs=0.05)


def test_a_single_number_is_always_drawn() -> None:
    assert Blur(sigma=1.5).get_params() == {"sigma": 1.5}
    assert JPEG(quality=65, codecs=["pil"]).get_params() == {"quality": 65, "codec": "pil"}


@pytest.mark.parametrize("name", [file.stem for file in sorted((CONF / "aug").glob("*.yaml"))])
def test_every_choice_of_augmentation_instantiates(name: str) -> None:
    config = choice(name)
    assert config.name == name
    image = noise(9, 7, 0)
    for split in ("train", "val"):
        degraded = instantiate(config[split])(image=image)["image"]
        assert degraded.shape == image.shape and degraded.dtype == np.uint8


@pytest.mark.parametrize(
    "sigma",
    [-1, (-1, 2), (2, 1), 101, (0, 1000), (0, 1, 2), (), None, "soft", "12", float("nan"), [None]],
    ids=repr,
)
def test_bad_sigma_is_one_line(sigma: Any) -> None:
    with pytest.raises(ValueError) as error:
        Blur(sigma=sigma)
    assert "sigma" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "quality",
    [0, 101, (30, 101), (0, 50), (90, 30), 65.5, (30, 50.5), (1, 2, 3), None, "high", "39"],
    ids=repr,
)
def test_bad_quality_is_one_line(quality: Any) -> None:
    with pytest.raises(ValueError) as error:
        JPEG(quality=quality)
    assert "qualit" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("codecs", [(), ["webp"], ["pil", "CV2"], "pil", None], ids=repr)
def test_bad_codecs_are_one_line(codecs: Any) -> None:
    with pytest.raises(ValueError) as error:
        JPEG(codecs=codecs)
    assert "codecs" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("transform", [Blur, JPEG])
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_probability_beyond_0_and_1_is_refused(transform: Any, p: float) -> None:
    with pytest.raises(ValueError):
        transform(p=p)


def test_the_same_stream_gives_the_same_images() -> None:
    config = choice("blur_jpg_0.5").train
    image = photo_like(24, 24, 0)

    def run(seed: int) -> list[bytes]:
        transform = seeded(instantiate(config), seed)
        return [transform(image=image)["image"].tobytes() for _ in range(20)]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_other_albumentations_can_join_the_list_in_yaml() -> None:
    config = OmegaConf.create(
        """
        _target_: albumentations.Compose
        transforms:
          - {_target_: genspot.augment.blur.Blur, sigma: 1.5, p: 1}
          - {_target_: albumentations.HorizontalFlip, p: 1}
          - {_target_: genspot.augment.jpeg.JPEG, quality: [40, 40], codecs: [cv2], p: 1}
          - _target_: albumentations.OneOf
            p: 1
            transforms:
              - {_target_: albumentations.InvertImg, p: 1}
        """
    )
    image = photo_like(24, 32, 0)
    degraded = seeded(instantiate(config), 0)(image=image)["image"]
    coded = CODECS["pil"](np.ascontiguousarray(blur(image, 1.5)[:, ::-1]), 40)
    np.testing.assert_array_equal(degraded, 255 - coded)
