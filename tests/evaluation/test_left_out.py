"""Leave one generator out: what the fit sees, and its figures against scikit-learn."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, log_loss

from genspot.evaluation import calibration
from genspot.evaluation.left_out import left_out_calibration, probability_figures
from genspot.evaluation.metrics import generator_metrics
from genspot.evaluation.platt import Platt, fit_platt
from helpers.scores import make_scores, shuffle

NAMES = ("a", "b", "c")
DIGEST = "5" * 64  # of the checkpoint


def scores_of(names: tuple[str, ...] = NAMES, fakes: int = 30, reals: int = 60) -> pa.Table:
    """Return scores whose logits are shifted by -3: the fakes of all generators look real."""
    rng = np.random.default_rng(0)
    return make_scores(
        (name, "", f"{number}.png", int(number < fakes), rng.normal(2.0 * (number < fakes) - 4, 1))
        for name in names
        for number in range(fakes + reals)
    )


def part(scores: pa.Table, names: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [row for row in scores.to_pylist() if row["generator"] in names]
    return np.array([row["label"] for row in rows]), np.array([row["logit"] for row in rows])


def test_left_out_calibration_applies_the_fit_of_the_others() -> None:
    scores = scores_of()
    found = left_out_calibration(shuffle(scores), NAMES, DIGEST)
    assert found is not None and list(found["generators"]) == list(NAMES)
    for name in NAMES:
        entry, fit = found["generators"][name], fit_platt(*part(scores, "abc".replace(name, "")))
        assert isinstance(fit, Platt)
        assert entry["slope"] == pytest.approx(fit.slope)
        assert (entry["real"], entry["fake"], entry["fault"]) == (120, 60, None)
        labels, logits = part(scores, name)
        odds = fit.slope * logits + fit.offset - logit((120 / 122 + 60 * 61 / 62) / 180)
        after = expit(odds + logit(1 / 3))
        assert entry["after"] is not None
        assert entry["after"]["brier"] == pytest.approx(brier_score_loss(labels, after))
        assert entry["after"]["log_loss"] == pytest.approx(log_loss(labels, after))
        assert entry["after"]["log_loss"] < entry["before"]["log_loss"]
        assert entry["after"]["ece"] < entry["before"]["ece"]


def test_left_out_calibration_has_the_fit_on_all_images_of_its_generators() -> None:
    scores = scores_of()
    found = left_out_calibration(shuffle(scores), ("a", "c"), DIGEST)
    assert found is not None
    fit = fit_platt(*part(scores, "ac"))
    assert isinstance(fit, Platt)
    assert found["all"] == pytest.approx({**vars(fit), "fault": None, "checkpoint": DIGEST})
    assert (found["all"]["real"], found["all"]["fake"]) == (120, 60)


def test_left_out_calibration_is_the_same_whatever_the_fakes_left_out() -> None:
    scores = scores_of()
    logits = scores["logit"].to_numpy().copy()
    own = np.array(scores["generator"].to_pylist()) == "b"
    logits[own] = -logits[own]
    changed = scores.set_column(4, "logit", pa.array(logits))
    first, second = (left_out_calibration(one, NAMES, DIGEST) for one in (scores, changed))
    assert first is not None and second is not None
    for key in ("slope", "offset"):
        assert first["generators"]["b"][key] == second["generators"]["b"][key]  # type: ignore[literal-required]
        assert first["generators"]["a"][key] != second["generators"]["a"][key]  # type: ignore[literal-required]
    assert first["generators"]["b"]["after"] != second["generators"]["b"]["after"]


def test_left_out_calibration_has_the_figures_of_the_generator_before_it() -> None:
    scores = scores_of()
    found = left_out_calibration(scores, NAMES, DIGEST)
    assert found is not None
    for name in NAMES:
        figures = generator_metrics(*part(scores, name))
        for key, value in found["generators"][name]["before"].items():
            assert value == pytest.approx(figures[key], rel=1e-12)
    for stage in ("before", "after"):
        ece = np.mean([one[stage]["ece"] for one in found["generators"].values()])  # type: ignore[literal-required]
        assert found["mean"][stage]["ece"] == pytest.approx(ece)  # type: ignore[literal-required]


def test_left_out_calibration_leaves_out_sets_of_one_class_and_needs_two_generators() -> None:
    scores = scores_of()
    found = left_out_calibration(scores, ("a", "b"), DIGEST)
    assert found is not None and found["generators"]["a"]["fake"] == 30
    assert left_out_calibration(scores, ("a",), DIGEST) is None
    assert left_out_calibration(scores.slice(0, 0), (), DIGEST) is None


def test_left_out_calibration_names_generators_that_share_reals() -> None:
    found = left_out_calibration(scores_of(), NAMES, DIGEST, {"a": "s", "b": "s", "c": "t"})
    assert found is not None
    shared = {name: one["shares_reals"] for name, one in found["generators"].items()}
    assert shared == {"a": True, "b": True, "c": False}


def test_left_out_calibration_without_a_fit_says_why_and_has_no_mean_after() -> None:
    rows = [("good", "", f"{k}.png", k % 2, float(k % 2)) for k in range(8)]
    rows += [("wrong", "", f"{k}.png", k % 2, -float(k % 2)) for k in range(8)]
    found = left_out_calibration(make_scores(rows), ("good", "wrong"), DIGEST)
    assert found is not None
    failed = found["generators"]["good"]
    assert failed["fault"] == "the logits do not tell the classes apart"
    assert failed["after"] is failed["slope"] is failed["fake"] is None
    assert found["generators"]["wrong"]["fault"] is None
    assert found["all"]["fault"] == failed["fault"] and found["all"]["slope"] is None
    assert found["mean"]["after"] is None and found["mean"]["before"]["ece"] > 0


def test_brier_score_and_log_loss_equal_scikit_learn_and_stay_finite() -> None:
    rng = np.random.default_rng(7)
    labels, logits = rng.integers(0, 2, 300), rng.normal(0, 3, 300)
    figures = probability_figures(labels, logits)
    assert figures["brier"] == pytest.approx(brier_score_loss(labels, expit(logits)))
    assert figures["log_loss"] == pytest.approx(log_loss(labels, expit(logits)))
    assert calibration.log_loss(np.array([0, 1]), np.array([900.0, 900.0])) == 450
    assert calibration.brier_score(np.array([0, 1]), np.array([1.0, 1.0])) == 0.5
