"""Augmentations that return no image are found before the training, also those drawn rarely."""

from __future__ import annotations

import random
from typing import Any

import albumentations as alb
import cv2
import numpy as np
import pytest

from genspot.augment.check import check_augmentation, check_composition
from helpers.arrays import make_noise
from helpers.errors import error_of


class Failing(alb.ImageOnlyTransform):
    """A transform that raises on images of `width`, or on all."""

    def __init__(self, error: BaseException, width: int | None = None) -> None:
        super().__init__(p=1)
        self.error, self.width = error, width

    def apply(self, img: np.ndarray, **_: Any) -> np.ndarray:
        if self.width in (None, img.shape[1]):
            raise self.error
        return img


class FixedProbability(alb.NoOp):
    """A transform whose `p` can be read alone."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "p" and hasattr(self, "p"):
            raise AttributeError("p is\nfixed")
        super().__setattr__(name, value)


def cv2_memory_error() -> cv2.error:
    error = cv2.error("Failed to allocate 99 bytes")
    error.code = cv2.Error.StsNoMem
    return error


IMAGES = [("a.png", make_noise(30, 20, 0)), ("b.png", make_noise(25, 40, 1))]
RARE = 1e-6
WRONG: dict[str, tuple[list[Any], str, str]] = {
    "Normalize": ([alb.Normalize()], "returns float32 of 30 × 20 × 3", "Normalize"),
    "ToFloat": ([alb.HorizontalFlip(), alb.ToFloat(p=1)], "returns float32", "ToFloat"),
    "ToTensorV2": (
        [alb.ToTensorV2()],
        "returns a Tensor of torch.uint8 of 3 × 30 × 20",
        "ToTensorV2",
    ),
    "grey": ([alb.ToGray(num_output_channels=1)], "returns uint8 of 30 × 20", "ToGray"),
    "large crop": ([alb.RandomCrop(400, 400)], "fails on a.png (20 × 30 pixels)", "RandomCrop"),
    "crop too large for the second": (
        [alb.CenterCrop(30, 20)],
        "fails on b.png (40 × 25 pixels)",
        "CenterCrop",
    ),
    "rare": ([alb.Normalize(p=RARE)], "returns float32", "Normalize"),
    "rare of several": (
        [alb.OneOf([alb.HorizontalFlip(p=1), alb.Normalize(p=RARE)], p=RARE)],
        "returns float32",
        "Normalize",
    ),
    "one of some": (
        [alb.SomeOf([alb.HorizontalFlip(), alb.Normalize(p=RARE)], n=1, p=RARE)],
        "returns float32",
        "Normalize",
    ),
    "nested": (
        [alb.Sequential([alb.Sequential([alb.ToFloat(p=RARE)], p=RARE)], p=RARE)],
        "returns float32",
        "ToFloat",
    ),
    "the other": ([alb.OneOrOther(alb.NoOp(), alb.ToFloat(), p=0.99)], "float32", "ToFloat"),
    "one without the other": ([alb.ToFloat(p=1), alb.FromFloat("uint8", p=0.5)], "float32", ""),
    "the user's own": (
        [alb.Lambda(image=lambda image, **_: image[:, :0], p=1)],
        "returns uint8 of 30 × 0 × 3",
        "Lambda",
    ),
}
CROP = 20  # as large as the smaller side of the first image
WRONG |= {
    "resized": ([alb.Resize(16, 40, p=RARE)], "returns 40 × 16 pixels for a.png", "Resize"),
    "small crop": ([alb.RandomCrop(19, 20, p=1)], "crop of 20", "RandomCrop"),
    "every second pixel": (
        [alb.Lambda(image=lambda image, **_: image[::2, ::2], p=RARE)],
        "returns 10 × 15 pixels",
        "Lambda",
    ),
    "exit": (
        [Failing(SystemExit(3))],
        "fails on a.png (20 × 30 pixels): SystemExit: 3",
        "Failing",
    ),
    "no memory": ([alb.NoOp(), Failing(MemoryError())], "memory", "Failing"),
    "no memory in OpenCV": ([Failing(cv2_memory_error())], "each of 2 images", "Failing"),
    "fixed p": ([FixedProbability()], "the p of FixedProbability cannot be set", ""),
}
RIGHT: dict[str, list[Any]] = {
    "none": [],
    "to float and back": [alb.ToFloat(p=1), alb.FromFloat("uint8", p=1)],
    "padded before the crop": [alb.PadIfNeeded(400, 400, p=1), alb.RandomCrop(400, 400)],
    "never applied": [alb.Normalize(p=0)],
    "never chosen": [alb.OneOf([alb.HorizontalFlip(p=1), alb.Normalize(p=0)], p=1)],
    "another size": [alb.RandomResizedCrop((20, 20)), alb.ToGray(), alb.GaussNoise()],
    "padded after the crop": [alb.RandomCrop(9, 9, p=1), alb.PadIfNeeded(20, 20, p=1)],
    "no memory for one of the images": [Failing(MemoryError(), width=40)],
}


@pytest.mark.parametrize("kind", WRONG)
def test_check_of_a_wrong_augmentation_names_setting_image_and_transform(kind: str) -> None:
    transforms, expected, name = WRONG[kind]
    message = error_of(check_augmentation, "aug.train", alb.Compose(transforms), IMAGES, CROP)
    assert message.startswith("aug.train") and expected in message
    assert message.endswith(f"(see {name})" if name else "")


@pytest.mark.parametrize("kind", RIGHT)
def test_check_of_a_right_augmentation_passes(kind: str) -> None:
    check_augmentation("aug.train", alb.Compose(RIGHT[kind]), IMAGES, CROP)


def test_check_of_an_image_smaller_than_the_crop_lets_the_augmentation_shrink_it() -> None:
    check_augmentation("aug.train", alb.Compose([alb.Resize(9, 9, p=1)]), IMAGES, crop=26)


def test_check_leaves_the_random_streams_as_they_are() -> None:
    augment = alb.Compose([alb.GaussNoise(p=0.5), alb.RandomCrop(9, 9)])
    augment.set_random_state(np.random.default_rng(3), random.Random(3))
    numpy_state = augment.random_generator.bit_generator.state
    python_state = augment.py_random.getstate()
    check_augmentation("aug.train", augment, IMAGES)
    assert augment.random_generator.bit_generator.state == numpy_state
    assert augment.py_random.getstate() == python_state
    assert augment.transforms[0].p == 0.5


def test_check_of_an_augmentation_that_cannot_be_copied_is_left_to_the_training() -> None:
    noise = alb.GaussNoise()
    noise.generator = (number for number in range(3))
    check_augmentation("aug.train", alb.Compose([noise]), IMAGES)


def test_augmentation_that_is_no_composition_is_refused() -> None:
    for augment in (None, alb.Compose([]), alb.OneOf([alb.NoOp()])):
        check_composition("aug.val", augment)
    message = error_of(check_composition, "aug.val", alb.HorizontalFlip())
    assert message.startswith("aug.val is a HorizontalFlip: give an albumentations.Compose")
