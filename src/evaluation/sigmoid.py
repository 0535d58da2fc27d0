"""The sigmoid without SciPy, whose import takes longer than the verdict on a photo."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) of each of `logits`, float64, to the bits of `scipy.special.expit`.

    NumPy's own exp differs in the last bit.
    """
    values = [_sigmoid(value) for value in np.ravel(logits).tolist()]
    return np.array(values, np.float64).reshape(np.shape(logits))


def _sigmoid(value: float) -> float:
    try:
        return 1 / (1 + math.exp(-value))
    except OverflowError:
        return 0.0
