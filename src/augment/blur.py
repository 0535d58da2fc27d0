"""Gaussian blur as published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from albumentations import ImageOnlyTransform
from scipy.ndimage import gaussian_filter

from genspot.augment.verified import probe_images, proven
from genspot.augment.ranges import as_range

SIGMA_LIMIT = 100.0  # pixels; a wider kernel than any image here is a slip of the keyboard
STILL = 1e-15  # SciPy leaves an image alone below this sigma


class Blur(ImageOnlyTransform):
    """Gaussian blur of each channel of a `uint8` H×W×C image (Wang et al. 2020, section 4.1).

    Args:
        sigma: standard deviation in pixels, or the [lowest, highest] it is drawn from uniformly.
        exact: as the published experiment, whose in-place filter on `uint8` cuts the fraction
            off after each axis and so darkens by about 0.9 grey levels. False: rounded once,
            which does not darken, and filtered by OpenCV, several times as fast.
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
    if sigma <= STILL:
        return image.copy()
    return _exact(image, sigma) if exact else _unbiased(image, sigma)


def scipy_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """The published blur by SciPy itself, which truncates after each axis of a uint8 output."""
    channels = [
        gaussian_filter(image[..., channel], sigma, output=np.uint8)
        for channel in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def _compiled(image: np.ndarray, sigma: float) -> np.ndarray:
    """The same bits, about four times as fast."""
    from genspot.augment.blur_kernels import truncating_blur, weights

    blurred = np.empty(image.shape, np.uint8)
    # numba's signature asks for a writable array, though it only reads.
    truncating_blur(np.require(image, requirements=["C", "W"]), blurred, weights(sigma))
    return blurred


def _unbiased(image: np.ndarray, sigma: float) -> np.ndarray:
    """By OpenCV: at most one grey level, in about one value of 10⁵, from SciPy in float32."""
    radius = int(4 * sigma + 0.5)  # as SciPy's
    line = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_64F)
    blurred = cv2.sepFilter2D(image, -1, line, line, borderType=cv2.BORDER_REFLECT)
    return blurred.reshape(image.shape)


_exact = proven(
    _compiled,
    scipy_blur,
    [(image, sigma) for image in probe_images() for sigma in (0.1, 0.4, 1.1, 2.2, 3.0, 12.5)],
    "blur (numba)",
)
