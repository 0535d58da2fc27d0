"""Weighted average precision against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from genspot.evaluation.resampling import WeightedAP, _shared_images
from helpers.scores import labels_and_logits, make_scores


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


def test_resample_draws_nested_and_linked_real_images_by_their_own_paths() -> None:
    files = ["a.png", "sub/a.png", "0_real/a.png", "0_real/sub/a.png", "1_fake/a.png"]
    rows = [(name, "cat", file, 0, k + 0.5) for name in "xy" for k, file in enumerate(files)]
    rows += [("x", "dog", file, 0, k) for k, file in enumerate(files)]  # linked, counts again
    rows += [(name, "cat", f"{k}.png", 1, 2.0 * k) for name in "xy" for k in range(3)]
    shared = _shared_images([make_scores(rows)])
    in_cat = {("cat", file) for file in files}
    for name, expected in (("x", in_cat | {("dog", file) for file in files}), ("y", in_cat)):
        _, reals, _ = shared[name]
        assert set(reals) == expected and len(reals) == len(expected)
