"""Precision-recall curves."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import precision_recall_curve

from genspot.report.runs import GeneratorScores

Curve = tuple[np.ndarray, np.ndarray]  # recall in ascending order, and precision, in [0, 1]


def precision_recall(images: GeneratorScores) -> Curve:
    """Return the precision-recall curve of a generator with images of both classes."""
    precision, recall, _ = precision_recall_curve(images.labels, images.logits)
    return recall[::-1], precision[::-1]


def precision_at(curve: Curve, recall: float) -> float:
    """Return the precision at the highest threshold that reaches at least `recall`."""
    return float(curve[1][np.searchsorted(curve[0], recall - 1e-12)])


def thin(curve: Curve, points: int) -> Curve:
    """Return `curve` at no more than `points` evenly spaced positions, both ends included."""
    count = len(curve[0])
    kept = np.linspace(0, count - 1, min(count, points)).round().astype(int)
    return curve[0][kept], curve[1][kept]
