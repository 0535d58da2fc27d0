"""The Gaussian blur of the published experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from albumentations import ImageOnlyTransform
from scipy.ndimage import gaussian_filter

from genspot.augment.ranges import as_range
from genspot.augment.verified import sample_images, verified_or_fallback

MAX_SIGMA = 100.0  # pixels; larger values are typing errors
MIN_SIGMA = 1e-15  # SciPy does not change an image at or below this sigma


class Blur(ImageOnlyTransform):
    """Gaussian blur of each channel of a `uint8` H×W×C image (Wang et al. 2020, section 4.1).

    Args:
        sigma: standard deviation in pixels, or the [lowest, highest] of a uniform distribution.
        exact: True: the published filter, which works in place on `uint8`, truncates after each
            axis and so darkens by about 0.9 grey levels. False: rounded once, which does not
            darken, by OpenCV, several times as fast.
        p: probability that an image is blurred.

    Raises:
        GenspotError: sigma is negative, not in ascending order, or above `MAX_SIGMA`.
    """

    def __init__(
        self, sigma: float | Sequence[float] = (0, 3), exact: bool = True, p: float = 0.5
    ) -> None:
        super().__init__(p=p)
        self.sigma = as_range(sigma, "sigma", 0, MAX_SIGMA)
        self.exact = exact

    def get_params(self) -> dict[str, Any]:
        return {"sigma": self.py_random.uniform(*self.sigma)}

    def apply(self, img: np.ndarray, sigma: float, **params: Any) -> np.ndarray:
        return blur(img, sigma, self.exact)


def blur(image: np.ndarray, sigma: float, exact: bool = True) -> np.ndarray:
    """Return a copy of `image` (`uint8`, H×W×C), blurred with `sigma` pixels; see `Blur`."""
    if sigma <= MIN_SIGMA:
        return image.copy()
    return _exact_blur(image, sigma) if exact else _opencv_blur(image, sigma)


def _published_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Apply the published filter: SciPy truncates after each axis if the output is `uint8`."""
    return gaussian_filter(image, (sigma, sigma, 0), output=np.uint8)


def _compiled_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Apply the same filter, about four times as fast."""
    from genspot.augment.blur_kernels import gaussian_weights, truncating_blur

    weights = gaussian_weights(sigma)
    radius = len(weights) - 1
    padded = cv2.copyMakeBorder(image, radius, radius, radius, radius, cv2.BORDER_REFLECT)
    blurred = np.empty(image.shape, np.uint8)
    truncating_blur(padded.reshape(len(padded), -1).astype(np.float32), blurred, weights)
    return blurred


def _opencv_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur and round once: at most 1 grey level from SciPy in float32, in one of 10⁵ values."""
    radius = int(4 * sigma + 0.5)  # as in SciPy
    kernel = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_64F)
    blurred = cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return blurred.reshape(image.shape)


_exact_blur = verified_or_fallback(
    _compiled_blur,
    _published_blur,
    [(image, sigma) for image in sample_images() for sigma in (0.1, 0.4, 1.1, 2.2, 3.0, 12.5)],
    "blur (numba)",
)
