"""The sigmoid is SciPy's to the bit, and is there without it."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from genspot.evaluation.sigmoid import sigmoid


def test_sigmoid_has_the_bits_of_scipy() -> None:
    rng = np.random.default_rng(0)
    ends = [
        0.0,
        -0.0,
        1e-300,
        709.0,
        -709.0,
        711.0,
        -711.0,
        746.0,
        -746.0,
        np.inf,
        -np.inf,
        np.nan,
    ]
    logits = np.concatenate([rng.normal(0, 5, 20_000), rng.uniform(-800, 800, 5_000), ends])
    np.testing.assert_array_equal(sigmoid(logits), expit(logits))


def test_sigmoid_of_float32_is_float64_of_the_same_shape() -> None:
    logits = np.float32([[0.1, -3], [8, 90]])
    found = sigmoid(logits)
    assert (found.dtype, found.shape) == (np.float64, (2, 2))
    np.testing.assert_array_equal(found, expit(logits.astype(np.float64)))
    assert sigmoid(np.empty(0, np.float32)).shape == (0,)
