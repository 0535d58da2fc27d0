"""Weighted average precision against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from genspot.evaluation.resampling import WeightedAP
from helpers.scores import labels_and_logits


@given(labels_and_logits(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_weighted_ap_equals_scikit_learn_on_repeated_images(
    case: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    labels, logits = case
    weights = np.random.default_rng(seed).integers(0, 4, len(labels))
    weights[1] += 1  # at least one fake
    rows = np.repeat(np.arange(len(labels)), weights)
    found = WeightedAP(labels, logits).compute(weights)
    assert found == pytest.approx(average_precision_score(labels[rows], logits[rows]), abs=1e-12)
