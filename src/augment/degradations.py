"""Degradations of test images, each named by one word: blur_1.5, jpeg_75, resize_0.5."""

from __future__ import annotations

from typing import Any

import albumentations
import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.augment.ranges import as_range

SCALE_LIMIT = 8.0  # a larger enlargement than any test needs


class Resize(ImageOnlyTransform):
    """Scale both sides of a `uint8` H×W×3 image (PIL, bilinear with antialiasing).

    Args:
        scale: factor of both sides, above 0.
        p: probability that an image is resized.

    Raises:
        ValueError: the scale is not within (0, `SCALE_LIMIT`].
    """

    def __init__(self, scale: float, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.scale, _ = as_range(scale, "scale", 1 / 256, SCALE_LIMIT)

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        height, width = (max(1, round(side * self.scale)) for side in img.shape[:2])
        return np.array(Image.fromarray(img).resize((width, height), Image.Resampling.BILINEAR))


def degradation(word: str) -> ImageOnlyTransform:
    """The transform of one word, applied always.

    Raises:
        ValueError: it names no degradation, or a strength that cannot be.
    """
    kind, _, strength = str(word).partition("_")
    try:
        value = float(strength)
        if kind == "blur":
            return Blur(sigma=value, p=1)
        if kind == "jpeg":
            return JPEG(quality=value, codecs=["pil"], p=1)  # type: ignore[arg-type]
        if kind == "resize":
            return Resize(value)
    except ValueError as error:
        raise ValueError(f"degrade={word}: {error}") from error
    raise ValueError(f"degrade={word}: write blur_SIGMA, jpeg_QUALITY or resize_SCALE")


def degradations(words: str) -> albumentations.Compose | None:
    """What test images go through before they are cropped.

    Args:
        words: joined by + in the order in which they are applied; "none" for nothing.
    """
    if words == "none":
        return None
    return albumentations.Compose([degradation(word) for word in str(words).split("+")])
