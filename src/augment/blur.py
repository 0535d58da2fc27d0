"""Gaussian blur as published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from albumentations import ImageOnlyTransform
from scipy.ndimage import gaussian_filter

from augment.ranges import as_range

SIGMA_LIMIT = 100.0  # pixels; a wider kernel than any image here is a slip of the keyboard


class Blur(ImageOnlyTransform):
    """Gaussian blur of each channel of a `uint8` H×W×C image (Wang et al. 2020, section 4.1).

    Args:
        sigma: standard deviation in pixels, or the [lowest, highest] it is drawn from uniformly.
        exact: as the published experiment, whose in-place filter on `uint8` cuts the fraction
            off after each axis and so darkens by about 0.9 grey levels. False: filtered in
            float32 and rounded once, which does not darken.
        p: probability that an image is blurred.

    Raises:
        ValueError: sigma is negative, out of order, or beyond `SIGMA_LIMIT`.
    """

    def __init__(
        self, sigma: float | Sequence[float] = (0, 3), exact: bool = True, p: float = 0.5
    ) -> None:
        super().__init__(p=p)
        self.sigma = as_range(sigma, "sigma", 0, SIGMA_LIMIT)
        self.exact = exact

    def get_params(self) -> dict[str, Any]:
        return {"sigma": self.py_random.uniform(*self.sigma)}

    def apply(self, img: np.ndarray, sigma: float, **params: Any) -> np.ndarray:
        return blur(img, sigma, self.exact)


def blur(image: np.ndarray, sigma: float, exact: bool = True) -> np.ndarray:
    """`image` (`uint8`, H×W×C) blurred with `sigma` pixels; a new array."""
    channels = image if exact else image.astype(np.float32)
    # A uint8 output makes SciPy truncate after each axis, as it did in the published pipeline.
    blurred = [
        gaussian_filter(channels[..., channel], sigma, output=channels.dtype)
        for channel in range(channels.shape[-1])
    ]
    stacked = np.stack(blurred, axis=-1)
    return stacked if exact else np.rint(stacked).clip(0, 255).astype(np.uint8)
