"""What a classifier sees that knows nothing of generators.

If file size, mean colour, sharpness or the grid of JPEG separate real from fake, then a data set
tests those and no detector. The AP of this classifier belongs beside a detector's.
"""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
from sklearn.ensemble import RandomForestClassifier
from tqdm import tqdm

from genspot.data import image_io as images

FEATURES = ("file size", "mean red", "mean green", "mean blue", "sharpness", "JPEG grid")


def features(path: str) -> np.ndarray:
    """The `FEATURES` of one image file; zeros where it cannot be read."""
    try:
        image = images.read(path).astype(np.float32)
    except Exception:  # listed as unreadable by the evaluation itself
        return np.zeros(len(FEATURES))
    grey = image.mean(axis=2)
    bends = np.abs(np.diff(grey, n=2, axis=0))
    return np.array(
        [
            os.path.getsize(path) / grey.size,
            *image.mean(axis=(0, 1)),
            np.log1p(bends.mean()) if bends.size else 0.0,
            _grid(grey),
        ]
    )


def _grid(grey: np.ndarray) -> float:
    """How much steeper the steps across 8×8 block edges are than the other steps, 1 if not."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        edges = np.zeros(len(steps), dtype=bool)
        edges[7::8] = True
        if edges.any() and not edges.all():
            ratios.append(float(steps[edges].mean() / (steps[~edges].mean() + 1e-6)))
    return float(np.mean(ratios)) if ratios else 1.0


def scores(train: pa.Table, test: pa.Table, seed: int, limit: int = 2000) -> np.ndarray:
    """Probability of fake for each row of `test`, by a random forest on `FEATURES`.

    Args:
        train: what it learns from, at most `limit` rows of it, drawn at random.
        test: what it judges.
        seed: of the draw and of the forest.
    """
    chosen = np.random.default_rng(seed).permutation(train.num_rows)[:limit]
    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=5, random_state=seed)
    learn = train.take(chosen)
    forest.fit(_matrix(learn, "trivial classifier learns"), learn["label"].to_numpy())
    return np.asarray(forest.predict_proba(_matrix(test, "trivial classifier judges"))[:, 1])


def _matrix(table: pa.Table, title: str) -> np.ndarray:
    paths = tqdm(table["path"].to_pylist(), desc=title, unit="image")
    return np.stack([features(path) for path in paths])
