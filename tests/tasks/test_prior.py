"""Probabilities of photos at a prior: by Bayes' rule, and from a test on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from genspot.evaluation.platt import Platt
from genspot.evaluation.scaling import Scaling
from genspot.tasks.prior import with_prior

LOGITS = np.array([3.0, 0.5, -2.0])


def predictions(**columns: list[str]) -> pa.Table:
    table = {"path": ["a", "b", "c"], "logit": LOGITS, "probability": expit(LOGITS)}
    return pa.table({**table, "calibrated": [False] * 3, "padded": [False] * 3, **columns})


@pytest.fixture
def scaling() -> Scaling:
    empty = {"generators": {}, "mean": {"before": None, "after": None}}
    return Scaling(Path("metrics.json"), Platt(0.8, -0.3, 40, 10), empty, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.9])
def test_with_prior_follows_bayes_rule(scaling: Scaling, prior: float) -> None:
    found = with_prior(scaling, prior, predictions())
    own = expit(0.8 * LOGITS - 0.3)
    mean = (40 / 42 + 10 * 11 / 12) / 50  # target, that is the prior of the fit
    ratios = own / (1 - own) / (mean / (1 - mean))
    assert found["likelihood_ratio"].to_pylist() == pytest.approx(ratios)
    posterior = prior * ratios / (prior * ratios + 1 - prior)
    assert found["probability"].to_pylist() == pytest.approx(posterior)
    assert found["calibrated"].to_pylist() == [True] * 3
    assert found["prior"].to_pylist() == [prior] * 3
    assert found.column_names == [*predictions().column_names, "prior", "likelihood_ratio"]
    for name in ("path", "logit", "padded"):
        assert found[name].equals(predictions()[name])


def test_with_prior_says_nothing_of_photos_that_the_grade_says_nothing_of(
    scaling: Scaling,
) -> None:
    grades = ["strong evidence", "cannot say", "no evidence"]
    found = with_prior(scaling, 0.1, predictions(grade=grades)).to_pylist()
    assert [row["calibrated"] for row in found] == [True, False, True]
    assert found[1]["likelihood_ratio"] is None
    assert found[1]["probability"] == pytest.approx(expit(0.5))
    assert found[0]["likelihood_ratio"] > 1 > found[2]["likelihood_ratio"]


def test_with_prior_of_no_photo_is_empty(scaling: Scaling) -> None:
    found = with_prior(scaling, 0.1, predictions().slice(0, 0))
    assert found.num_rows == 0 and found["likelihood_ratio"].type == pa.float64()
