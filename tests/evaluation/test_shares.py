"""Shares called fake against SciPy's binomial test, plain counts and simulated photographs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from genspot.evaluation import results
from genspot.evaluation.calibration_results import CalibrationFit
from genspot.evaluation.metrics import evaluate
from genspot.evaluation.shares import RATES, differ, share_interval
from helpers.scores import ScoreRow, make_scores


def rows(name: str, label: int, logits: list[float], photographs: int = 0) -> list[ScoreRow]:
    return [
        (name, str(k % photographs) if photographs else "", f"{k}.png", label, logit)
        for k, logit in enumerate(logits)
    ]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize(("count", "images"), [(0, 1), (1, 1), (0, 711), (23, 711), (9, 10)])
def test_share_interval_is_that_of_clopper_and_pearson(
    count: int, images: int, confidence: float
) -> None:
    expected = binomtest(count, images).proportion_ci(confidence, method="exact")
    called = np.arange(images) < count
    for clusters in (None, np.arange(images)):  # one image of each photograph
        found = share_interval(called, confidence, clusters)
        assert found == pytest.approx([expected.low, expected.high], abs=1e-9)


def test_share_interval_holds_the_share_as_often_as_it_says() -> None:
    for share in (0.01, 0.3, 0.5):
        counts = np.arange(41)
        intervals = [share_interval(np.arange(40) < count, 0.9) for count in counts]
        held = [low <= share <= high for low, high in intervals]
        assert binom.pmf(counts, 40, share)[held].sum() >= 0.9


def test_share_interval_counts_equally_many_images_of_a_photograph_as_one() -> None:
    called, photographs = np.repeat([1, 0, 0, 1, 0], 7).astype(bool), np.repeat(range(5), 7)
    expected = binomtest(2, 5).proportion_ci(0.95, method="exact")
    found = share_interval(called, 0.95, photographs)
    assert found == pytest.approx([expected.low, expected.high], abs=1e-9)
    alone = share_interval(called, 0.95)
    assert found[0] < alone[0] and alone[1] < found[1]
    uneven = share_interval(called, 0.95, np.array([0] * 31 + [1, 2, 3, 4]))
    assert uneven[0] < found[0] and found[1] < uneven[1]  # nearly all from one photograph
    low, high = share_interval(np.array([True] * 9 + [False]), 0.95, np.zeros(10))
    assert low < 0.1 and high == pytest.approx(1, abs=0.01)


def test_share_interval_over_photographs_holds_the_share_where_these_decide() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        called = rng.random((18, 10)) < (rng.random(18) < 0.3)[:, None]  # all of one or none
        low, high = share_interval(called.ravel(), 0.95, np.repeat(range(18), 10))
        held += low <= 0.3 <= high
    assert held >= 0.94 * 400


@pytest.mark.parametrize(("label", "rate"), [(0, "fpr"), (1, "tpr")])
def test_evaluate_one_class_has_its_share_alone(label: int, rate: str) -> None:
    fit: CalibrationFit = {"threshold": 1.5, "temperature": None, "images": 9, "notes": []}
    scores = make_scores(rows("a", label, [-1.0, 0.0, 1.0, 2.0, 1.5]))
    result = evaluate(scores, fit=fit)
    figures = result["generators"]["a"]
    assert figures["status"] == ("reals only", "fakes only")[label]
    assert (figures[rate], figures[f"{rate}_val_threshold"]) == (3 / 5, 1 / 5)
    for count, key in ((3, rate), (1, f"{rate}_val_threshold")):
        expected = binomtest(count, 5).proportion_ci(0.95, method="exact")
        found = figures[f"{key}_interval"]
        assert found == pytest.approx([expected.low, expected.high], abs=1e-9)
    (other,) = set(RATES) - {rate}
    keys = [key for key in figures if key.startswith(other) and "at_fpr" not in key]
    assert len(keys) == 4 and not any(figures[key] for key in keys)
    assert figures["ap"] is figures["ap_interval"] is figures["clusters"] is None
    assert (result["mean"]["generators"], result["mean"]["ap"]) == (0, None)


def test_evaluate_both_classes_have_the_shares_of_the_accuracies() -> None:
    rng = np.random.default_rng(0)
    scores = make_scores(
        rows("a", 0, rng.normal(-1, 1, 40).tolist()) + rows("a", 1, rng.normal(1, 1, 30).tolist())
    )
    figures = evaluate(scores, ["a", "empty"])["generators"]
    assert figures["a"]["fpr"] == pytest.approx(1 - figures["a"]["acc_real"])
    assert figures["a"]["tpr"] == figures["a"]["acc_fake"]
    assert figures["a"]["fpr_val_threshold"] is figures["a"]["tpr_val_threshold_interval"] is None
    assert figures["empty"]["fpr"] is figures["empty"]["tpr_interval"] is None


def test_evaluate_one_class_of_photographs_has_intervals_over_these() -> None:
    logits = np.random.default_rng(1).normal(size=60).tolist()
    scores = make_scores(rows("a", 0, logits, 6) + rows("b", 0, logits, 6))
    found = evaluate(scores, clusters={"a": "class"})["generators"]
    assert (found["a"]["clusters"], found["b"]["clusters"]) == (6, None)
    assert found["a"]["fpr"] == found["b"]["fpr"]
    (low, high), (lower, higher) = (found[name]["fpr_interval"] for name in "ba")
    assert lower < low < high < higher


def test_evaluate_one_class_makes_no_warnings(recwarn: pytest.WarningsRecorder) -> None:
    for label in (0, 1):
        evaluate(make_scores(rows("a", label, [-1.0, 2.0])))
    assert not recwarn.list


def test_differ_is_the_test_of_mcnemar() -> None:
    first = np.array([True] * 12 + [False] * 88)
    assert not differ(first, first, 0.95)
    five, six = first.copy(), first.copy()
    five[:5], six[:6] = False, False  # p-values of 2 / 2⁵ and 2 / 2⁶
    assert not differ(first, five, 0.95) and differ(first, six, 0.95)
    swapped = np.roll(first, 12)  # twelve more, twelve less
    assert not differ(first, swapped, 0.95)


def test_states_of_a_set_are_documented() -> None:
    meaning = results.describe_keys(results.GeneratorMetrics)["status"][1]
    for state in ("ok", "reals only", "fakes only", "empty"):
        assert f'"{state}"' in meaning
