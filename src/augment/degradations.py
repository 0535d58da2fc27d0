"""Degradations of test images by name and strength: blur_1.5, jpeg_75, resize_0.5."""

from __future__ import annotations

from typing import Any

import albumentations
import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.augment.ranges import as_range
from genspot.common.errors import GenspotError

MIN_SCALE, MAX_SCALE = 1 / 256, 8.0


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
        self.scale, _ = as_range(scale, "scale", MIN_SCALE, MAX_SCALE)

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        height, width = (max(1, round(side * self.scale)) for side in img.shape[:2])
        return np.array(Image.fromarray(img).resize((width, height), Image.Resampling.BILINEAR))


def parse_degradation(text: str) -> ImageOnlyTransform:
    """Return the transform of one degradation, such as "jpeg_75", applied to every image.

    Raises:
        GenspotError: The kind is unknown, or the strength is outside its range.
    """
    kind, _, strength = text.partition("_")
    try:
        value = float(strength)
        if kind == "blur":
            return Blur(sigma=value, p=1)
        if kind == "jpeg":
            return JPEG(quality=value, codecs=["pil"], p=1)
        if kind == "resize":
            return Resize(value)
    except ValueError as error:
        raise GenspotError(f"degradations={text}: {error}") from error
    raise GenspotError(f"degradations={text}: write blur_SIGMA, jpeg_QUALITY or resize_SCALE")


def parse_degradations(degradations: str) -> albumentations.Compose | None:
    """Return the transform of test images before their crop; None for "none".

    Args:
        degradations: joined by + in the order in which they are applied, or "none".

    Raises:
        GenspotError: A degradation is unknown, or its strength is outside its range.
    """
    if degradations == "none":
        return None
    parts = str(degradations).split("+")  # a number where a user wrote one
    return albumentations.Compose([parse_degradation(part) for part in parts])
