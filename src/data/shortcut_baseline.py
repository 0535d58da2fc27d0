"""Image features that know nothing of generators, for the shortcut baseline.

If file size, mean colour, sharpness or JPEG's block grid separate real from fake images, then a
detector can reach a high AP on the data set by such a shortcut. A classifier of these features
(`genspot.evaluation.baselines`) measures that.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from genspot.common.containers import encoded_size
from genspot.data import image_io
from genspot.data.settings import MAX_MEGAPIXELS

FEATURES = ("file size", "mean red", "mean green", "mean blue", "sharpness", "JPEG grid")


def features(table: pa.Table, title: str, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """Return the features of all images of a table of samples, float64, N×6.

    Args:
        table: of samples.
        title: of the progress bar.
        max_megapixels: larger images are unreadable.
    """
    paths = tqdm(table["path"].to_pylist(), desc=title, unit="image")
    rows = [image_features(path, max_megapixels) for path in paths]
    return np.array(rows).reshape(-1, len(FEATURES))


def image_features(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """Return the `FEATURES` of an image file, float64; zeros if it cannot be read."""
    try:
        image = image_io.read(path, max_megapixels).astype(np.float32)
    except Exception:  # the evaluation reports unreadable images
        return np.zeros(len(FEATURES))
    grey = image.mean(axis=2)
    curvature = np.abs(np.diff(grey, n=2, axis=0))
    return np.array(
        [
            encoded_size(path) / grey.size,
            *image.mean(axis=(0, 1)),
            np.log1p(curvature.mean()) if curvature.size else 0.0,
            _block_grid(grey),
        ]
    )


def _block_grid(grey: np.ndarray) -> float:
    """Return the mean step across the edges of 8×8 blocks, relative to all other steps.

    Without JPEG compression it is about 1.
    """
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        edges = np.zeros(len(steps), dtype=bool)
        edges[7::8] = True
        if edges.any() and not edges.all():
            ratios.append(float(steps[edges].mean() / (steps[~edges].mean() + 1e-6)))
    return float(np.mean(ratios)) if ratios else 1.0
