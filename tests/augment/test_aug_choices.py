"""The choices of conf/aug: blur and JPEG in an albumentations.Compose from YAML."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

import genspot.augment.blur
from genspot.augment.blur import Blur, blur
from genspot.augment.jpeg import CODECS, JPEG
from helpers.arrays import make_noise, make_photo

CHOICES = sorted((Path(__file__).parents[2] / "conf" / "aug").glob("*.yaml"))


def build(name: str, split: str = "train", seed: int = 0) -> albumentations.Compose:
    (path,) = [path for path in CHOICES if path.stem == name]
    return seed_transform(instantiate(OmegaConf.load(path)[split]), seed)


def seed_transform(transform: albumentations.Compose, seed: int) -> albumentations.Compose:
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    return transform


@pytest.mark.parametrize("name", [path.stem for path in CHOICES])
def test_choice_instantiates_and_keeps_shape(name: str) -> None:
    image = make_noise(9, 7, 0)
    for split in ("train", "val"):
        degraded = build(name, split)(image=image)["image"]
        assert degraded.shape == image.shape and degraded.dtype == np.uint8


@pytest.mark.parametrize("probability", [0.5, 0.1])
def test_blur_jpg_choice_draws_as_published(
    probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[Any]] = {"sigma": [], "cv2": [], "pil": []}

    def record(key: str, image: np.ndarray, value: Any) -> np.ndarray:
        seen[key].append(value)
        return image

    monkeypatch.setattr(
        genspot.augment.blur, "blur", lambda image, sigma, _: record("sigma", image, sigma)
    )
    for codec in CODECS:
        monkeypatch.setitem(CODECS, codec, lambda image, q, key=codec: record(key, image, q))

    transform = build(f"blur_jpg_{probability}")
    image = np.zeros((2, 2, 3), np.uint8)
    applied = np.zeros((2000, 2), dtype=bool)
    for row in applied:
        before = {key: len(values) for key, values in seen.items()}
        transform(image=image)
        new = {key: len(values) - before[key] for key, values in seen.items()}
        row[:] = new["sigma"], new["cv2"] + new["pil"]

    assert applied.mean(axis=0) == pytest.approx([probability] * 2, abs=0.05)
    # Blur and JPEG are drawn independently.
    assert applied.all(axis=1).mean() == pytest.approx(probability**2, abs=0.05)
    assert 0 <= min(seen["sigma"]) < 0.1 and 2.9 < max(seen["sigma"]) <= 3
    qualities = seen["cv2"] + seen["pil"]
    assert {30, 100} <= set(qualities) <= set(range(30, 101))
    assert len(seen["cv2"]) / len(qualities) == pytest.approx(0.5, abs=0.15)


def test_choice_same_seed_gives_same_images() -> None:
    image = make_photo(24, 24, 0)

    def degrade(seed: int) -> list[bytes]:
        transform = build("blur_jpg_0.5", seed=seed)
        return [transform(image=image)["image"].tobytes() for _ in range(20)]

    assert degrade(1) == degrade(1)
    assert degrade(1) != degrade(2)


def test_yaml_list_accepts_other_albumentations() -> None:
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
    image = make_photo(24, 32, 0)
    degraded = seed_transform(instantiate(config), 0)(image=image)["image"]
    compressed = CODECS["pil"](np.ascontiguousarray(blur(image, 1.5)[:, ::-1]), 40)
    np.testing.assert_array_equal(degraded, 255 - compressed)


@pytest.mark.parametrize("transform", [Blur, JPEG])
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_transform_invalid_probability_raises(transform: Any, p: float) -> None:
    with pytest.raises(ValueError):
        transform(p=p)
