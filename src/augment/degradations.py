"""Degradations of test images by name and strength: blur_1.5, jpeg_75, resize_0.5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import albumentations
import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.blur import Blur
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
}


def parse_degradations(degradations: str) -> albumentations.Compose | None:
    """Return the transform of test images before their crop; None for "none".

    Args:
        degradations: "none", or one or more in the order in which they are applied, such as
            "blur_1.5+jpeg_75". Each applies to every image.

    Raises:
        GenspotError: A degradation is unknown, or its strength is outside its range.
    """
    if degradations == "none":
        return None
    transforms = []
    for text in str(degradations).split("+"):  # YAML gives a number where a user wrote one
        kind, _, strength = text.partition("_")
        if kind not in TRANSFORMS:
            forms = "blur_SIGMA, jpeg_QUALITY or resize_SCALE"
            raise GenspotError(f"degradations={text}: write {forms}")
        try:
            transforms.append(TRANSFORMS[kind](float(strength)))
        except ValueError as error:
            raise GenspotError(f"degradations={text}: {error}") from error
    return albumentations.Compose(transforms)
