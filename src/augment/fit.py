"""Images of different sizes made N × N, the same way each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from albumentations import ImageOnlyTransform
from PIL import Image

from genspot.augment.ranges import as_range
from genspot.common.errors import GenspotError

MAX_SIDE = 10_000  # pixels; larger values are typing errors
JPEG_UNIT = 16  # pixels after which the grid of a JPEG with 4:2:0 subsampling repeats


class Fit(ImageOnlyTransform):
    """Reduce a `uint8` H×W×3 image until its shorter side is N, then crop it to N × N.

    It is reduced by PIL's bilinear filter with antialiasing, as `Resize` and the models do it: a
    filter without negative weights draws no lines along edges, which would tell how much an image
    was reduced. An image that is N × N stays as it is. A smaller one is refused: enlarging leaves
    the very traces that a detector looks for.

    The crop is central, but for the up to 15 pixels by which its corner is moved to a multiple of
    16: so the grid of an earlier JPEG compression stays in its place where nothing is reduced.

    Args:
        side: N in pixels, from 1 to `MAX_SIDE`.
        p: probability that an image is fitted.

    Raises:
        GenspotError: N is no whole number in its range.
    """

    def __init__(self, side: float, p: float = 1.0) -> None:
        super().__init__(p=p)
        number, _ = as_range(side, "side", 1, MAX_SIDE)
        if number % 1:
            raise GenspotError(f"side={side} is not a whole number of pixels")
        self.side = int(number)

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        height, width = img.shape[:2]
        shorter = min(height, width)
        if shorter < self.side:
            raise ValueError(f"{width} × {height} pixels: smaller than fit_{self.side}")
        if shorter > self.side:
            size = [max(self.side, round(side * self.side / shorter)) for side in (width, height)]
            img = np.array(Image.fromarray(img).resize(size, Image.Resampling.BILINEAR))
        rest = [side - self.side for side in img.shape[:2]]
        top, left = (length // 2 // JPEG_UNIT * JPEG_UNIT for length in rest)
        return np.ascontiguousarray(img[top : top + self.side, left : left + self.side])
