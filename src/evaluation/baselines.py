"""How far a classifier gets that uses shortcuts instead of the traces of a generator.

If file size, mean colour, sharpness or the JPEG grid separate real from fake images, the data set
tests those rather than a detector. The AP of this baseline belongs beside a detector's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from genspot.evaluation.metrics import average_precision

MAX_TRAINING_IMAGES = 2000  # enough for six features


def shortcut_baseline_rows(count: int, seed: int) -> np.ndarray:
    """Return the rows, drawn at random from `count` training images, that the baseline uses."""
    return np.random.default_rng(seed).permutation(count)[:MAX_TRAINING_IMAGES]


def shortcut_baseline_scores(
    train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, seed: int
) -> np.ndarray:
    """Return P(fake) of each of M test images by a random forest of 200 trees.

    Args:
        train_features: N × F features of training images, in the order of
            `shortcut_baseline_rows`.
        train_labels: N of them.
        test_features: M × F.
        seed: of the forest.
    """
    from sklearn.ensemble import RandomForestClassifier  # a second to import

    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=5, random_state=seed)
    forest.fit(train_features, train_labels)
    return np.asarray(forest.predict_proba(test_features)[:, 1])


def shortcut_baseline_ap(
    samples: pa.Table, scores: np.ndarray | None, generator: str
) -> float | None:
    """Return the AP of the baseline on `generator`; None without scores or with one class only.

    Args:
        samples: the table of M test samples.
        scores: M scores of `shortcut_baseline_scores`.
        generator: its name in `samples`.
    """
    if scores is None:
        return None
    names = np.asarray(samples["generator"].cast(pa.string()).to_pylist(), object)
    labels = samples["label"].to_numpy()[names == generator].astype(np.int64)
    return average_precision(labels, scores[names == generator]) if len(set(labels)) > 1 else None


def add_shortcut_baseline(
    metrics: dict[str, Any], samples: pa.Table, scores: np.ndarray | None
) -> None:
    """Add `shortcut_baseline_ap` to each generator of `metrics` (an `Evaluation`) and the mean.

    The mean is None where a generator with images of both classes has no figure.
    """
    for name, figures in metrics["generators"].items():
        figures["shortcut_baseline_ap"] = shortcut_baseline_ap(samples, scores, name)
    aps = [
        figures["shortcut_baseline_ap"]
        for figures in metrics["generators"].values()
        if figures["status"] == "ok"
    ]
    metrics["mean"]["shortcut_baseline_ap"] = (
        float(np.mean(aps)) if aps and None not in aps else None
    )
