"""The choices of conf/aug: blur and JPEG in an albumentations.Compose from YAML."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

import genspot.augment.blur
from genspot.augment.jpeg import CODECS
from helpers.arrays import make_noise

CHOICES = Path(__file__).parents[2] / "conf" / "aug"


@pytest.mark.parametrize("choice", sorted(path.stem for path in CHOICES.glob("*.yaml")))
@pytest.mark.parametrize("split", ["train", "val"])
def test_choice_instantiates_and_keeps_shape(choice: str, split: str) -> None:
    image = make_noise(9, 7, 0)
    model = {"train": {"crop": 64}}  # which deliveries leave
    cfg = OmegaConf.create({"model": model, "aug": OmegaConf.load(CHOICES / f"{choice}.yaml")})
    degraded = instantiate(cfg.aug[split])(image=image)["image"]
    assert degraded.dtype == np.uint8
    assert degraded.shape == image.shape or (choice, split) == ("deliveries", "train")


@pytest.mark.parametrize("probability", [0.5, 0.1])
def test_blur_jpg_choice_draws_as_published(
    probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: dict[str, list[Any]] = {"blur": [], "cv2": [], "pil": []}

    def recorder(name: str) -> Callable[..., np.ndarray]:
        def record(image: np.ndarray, value: Any, *options: Any) -> np.ndarray:
            calls[name].append(value)
            return image

        return record

    monkeypatch.setattr(genspot.augment.blur, "blur", recorder("blur"))
    for codec in CODECS:
        monkeypatch.setitem(CODECS, codec, recorder(codec))
    transform = instantiate(OmegaConf.load(CHOICES / f"blur_jpg_{probability}.yaml").train)
    transform.set_random_state(np.random.default_rng(0), random.Random(0))
    counts = [[0, 0]]
    for _ in range(2000):
        transform(image=np.zeros((2, 2, 3), np.uint8))
        counts.append([len(calls["blur"]), len(calls["cv2"]) + len(calls["pil"])])
    applied = np.diff(counts, axis=0)
    assert applied.mean(axis=0) == pytest.approx([probability] * 2, abs=0.05)
    # Blur and JPEG are drawn independently.
    assert applied.all(axis=1).mean() == pytest.approx(probability**2, abs=0.05)
    qualities = calls["cv2"] + calls["pil"]
    assert min(calls["blur"]) >= 0 and max(calls["blur"]) <= 3
    assert {30, 100} <= set(qualities) <= set(range(30, 101))
    for values, lowest, highest in ((calls["blur"], 0, 3), (qualities, 30, 101)):  # uniform
        shares = np.histogram(values, 4, (lowest, highest))[0] / len(values)
        assert shares == pytest.approx([0.25] * 4, abs=0.1)
    assert len(calls["cv2"]) / len(qualities) == pytest.approx(0.5, abs=0.15)
