"""Changes of images by name and strength: blur_1.5, jpeg_75, resize_0.5, fit_256."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import albumentations
import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.blur import Blur
from genspot.augment.fit import Fit
from genspot.augment.jpeg import JPEG
from genspot.augment.ranges import as_range
from genspot.common.errors import GenspotError

MAX_PIXELS = 2**28  # of an image that was made larger, which takes 2 GB


class Resize(ImageOnlyTransform):
    """Scale both sides of a `uint8` H×W×3 image (PIL, bilinear with antialiasing).

    Args:
        scale: factor of both sides, from 1/256 to 8; a side is at least 1 pixel long.
        p: probability that an image is resized.

    Raises:
        GenspotError: The scale is outside its range.
    """

    def __init__(self, scale: float, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.scale, _ = as_range(scale, "scale", 1 / 256, 8)

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        height, width = (max(1, round(side * self.scale)) for side in img.shape[:2])
        if height * width > MAX_PIXELS:
            raise ValueError(f"the result would have {width} × {height} pixels")
        return np.array(Image.fromarray(img).resize((width, height), Image.Resampling.BILINEAR))


TRANSFORMS: dict[str, Callable[[float], ImageOnlyTransform]] = {
    "blur": lambda sigma: Blur(sigma, p=1),
    "jpeg": lambda quality: JPEG(quality, codecs=["pil"], p=1),
    "resize": Resize,
    "fit": Fit,
}
FORMS = "blur_SIGMA, jpeg_QUALITY, resize_SCALE or fit_SIDE"


@dataclass(frozen=True)
class Protocol:
    """What is done to every image right after it is decoded, in training and in tests.

    Attributes:
        steps: of `TRANSFORMS`, of which none is random, in the order in which they are applied.
    """

    steps: tuple[ImageOnlyTransform, ...]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return `image` (`uint8`, H×W×3) after all steps.

        Raises:
            ValueError: a step refuses it; with the reason.
        """
        for step in self.steps:
            image = step.apply(image, **step.get_params())
        return image


def parse_degradations(degradations: str) -> albumentations.Compose | None:
    """Return the transform of test images before their crop; None for "none".

    Args:
        degradations: see `parse_steps`.

    Raises:
        GenspotError: see `parse_steps`.
    """
    steps = parse_steps("degradations", degradations)
    return albumentations.Compose(steps) if steps else None


def parse_protocol(protocol: str) -> Protocol | None:
    """Return what is done to every image after it is decoded; None for "none".

    Args:
        protocol: see `parse_steps`.

    Raises:
        GenspotError: see `parse_steps`.
    """
    steps = parse_steps("protocol", protocol)
    return Protocol(tuple(steps)) if steps else None


def parse_steps(setting: str, text: str) -> list[ImageOnlyTransform]:
    """Return the transforms that `text` names, each of which applies to every image.

    Args:
        setting: where `text` stands, for messages.
        text: "none", or one or more in the order in which they are applied, such as
            "blur_1.5+jpeg_75".

    Raises:
        GenspotError: One is unknown, or its strength is outside its range.
    """
    if text == "none":
        return []
    steps = []
    for word in str(text).split("+"):  # YAML gives a number where a user wrote one
        kind, _, strength = word.partition("_")
        if kind not in TRANSFORMS:
            raise GenspotError(f"{setting}={word}: write {FORMS}")
        try:
            steps.append(TRANSFORMS[kind](float(strength)))
        except ValueError as error:
            raise GenspotError(f"{setting}={word}: {error}") from error
    return steps
