"""Images as `uint8` arrays, and what the published experiment makes of them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter


def make_noise(height: int, width: int, seed: int) -> np.ndarray:
    """Return H×W×3 noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_photo(height: int, width: int, seed: int) -> np.ndarray:
    """Return H×W×3 smooth colours with grain."""
    colours = Image.fromarray(make_noise(4, 4, seed))
    smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(seed).normal(0, 8, smooth.shape)
    return (20 + 0.8 * smooth + grain).clip(0, 255).astype(np.uint8)


def published_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return `image` with each channel filtered in place by SciPy."""
    blurred = image.copy()
    for channel in range(3):
        gaussian_filter(blurred[..., channel], sigma, output=blurred[..., channel])
    return blurred


def compress_by_pil(image: np.ndarray, quality: int) -> np.ndarray:
    """Return `image` after a JPEG file of PIL."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))
