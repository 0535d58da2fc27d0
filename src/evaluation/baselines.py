"""How far a classifier gets that uses shortcuts instead of the traces of a generator.

If file size, mean colour, sharpness or the JPEG grid separate real from fake images, the data set
tests those rather than a detector. The AP of this baseline belongs beside a detector's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from genspot.evaluation.metrics import average_precision, complete_generators, mean_or_none


def shortcut_baseline_rows(count: int, seed: int) -> np.ndarray:
    """Return at most 2,000 rows, drawn at random from `count`: enough for six features."""
    return np.random.default_rng(seed).permutation(count)[:2000]


def shortcut_baseline_scores(
    train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, seed: int
) -> np.ndarray | None:
    """Return P(fake) of each of M test images by a random forest of 200 trees.

    None if the training images have one class.

    Args:
        train_features: N × F, of the training images of `shortcut_baseline_rows` in that order.
        train_labels: N of them.
        test_features: M × F.
        seed: of the forest.
    """
    if len(set(train_labels.tolist())) < 2:
        return None
    from sklearn.ensemble import RandomForestClassifier  # a second to import

    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=5, random_state=seed)
    forest.fit(train_features, train_labels)
    return np.asarray(forest.predict_proba(test_features)[:, 1])


def add_shortcut_baseline(
    metrics: dict[str, Any], samples: pa.Table, scores: np.ndarray | None
) -> None:
    """Add `shortcut_baseline_ap` to each generator of `metrics` (an `Evaluation`) and the mean.

    It is None without scores and where `samples` has one class only; the mean is None where a
    generator with both classes has no figure.

    Args:
        metrics: the result of `metrics.evaluate`, changed in place.
        samples: the table of M test samples.
        scores: M scores of `shortcut_baseline_scores`.
    """
    key = "shortcut_baseline_ap"
    names, labels = samples["generator"].cast(pa.string()).to_numpy(), samples["label"].to_numpy()
    for name, figures in metrics["generators"].items():
        own = names == name
        figures[key] = None
        if scores is not None and len(set(labels[own])) > 1:
            figures[key] = average_precision(labels[own].astype(np.int64), scores[own])
    complete = complete_generators(metrics["generators"]).values()
    metrics["mean"][key] = mean_or_none(figures[key] for figures in complete)
