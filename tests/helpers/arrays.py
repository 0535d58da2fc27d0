"""Images as `uint8` arrays."""

from __future__ import annotations

import numpy as np
from PIL import Image


def make_noise(height: int, width: int, seed: int) -> np.ndarray:
    """Return H×W×3 noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_photo(height: int, width: int, seed: int) -> np.ndarray:
    """Return H×W×3 smooth colours with grain."""
    colours = Image.fromarray(make_noise(4, 4, seed))
    smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(seed).normal(0, 8, smooth.shape)
    return (20 + 0.8 * smooth + grain).clip(0, 255).astype(np.uint8)
