"""Metrics against scikit-learn and plain loops, including ties and sets of one class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from sklearn.metrics import average_precision_score, roc_auc_score

from genspot.common.errors import GenspotError
from genspot.evaluation import calibration
from genspot.evaluation.calibration_results import CalibrationFit
from genspot.evaluation.intervals import ap_intervals
from genspot.evaluation.metrics import average_precision, evaluate, generator_metrics
from genspot.evaluation.results import MEASURES
from helpers.scores import labels_and_logits, make_scores


def table(rows: list[tuple[str, int, float]]) -> pa.Table:
    """Return a table of scores of (generator, label, logit) rows."""
    return make_scores(
        [(name, "", f"{k}.png", label, logit) for k, (name, label, logit) in enumerate(rows)]
    )


def noisy_table(seed: int, names: str = "ab", size: int = 60) -> pa.Table:
    rng = np.random.default_rng(seed)
    return table([(name, k % 2, rng.normal() + k % 2) for name in names for k in range(size)])


@given(labels_and_logits())
@settings(deadline=None, max_examples=100)
def test_ap_and_auroc_equal_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = case
    result = generator_metrics(labels, logits)
    assert result["ap"] == pytest.approx(average_precision_score(labels, logits), abs=1e-6)
    assert result["auroc"] == pytest.approx(roc_auc_score(labels, logits), abs=1e-6)


def test_ap_of_many_and_of_saturating_logits_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    many = rng.integers(0, 2, 90_000)
    saturating = np.array([20, 21, 40, 41])  # a float32 sigmoid makes ties of them
    for labels, logits in (
        (many, rng.normal(size=90_000) + many),
        (np.array([0, 1, 0, 1]), saturating),
    ):
        expected = average_precision_score(labels, logits.astype(np.float32))
        found = average_precision(labels, logits.astype(np.float32))
        assert found == pytest.approx(expected, abs=1e-6)


def test_generator_metrics_accuracy_is_at_logit_zero() -> None:
    result = generator_metrics(np.array([0, 0, 0, 1]), np.array([-1.0, 0.0, 0.1, 2.0]))
    assert (result["acc"], result["acc_real"], result["acc_fake"]) == (0.75, 2 / 3, 1.0)


def test_generator_metrics_huge_logits() -> None:
    logits = np.array([-3e38, 3e38, -1e30, 1e30], np.float32)
    result = generator_metrics(np.array([0, 1, 0, 1]), logits)
    assert (result["ap"], result["tpr_at_fpr_0.01"], result["ece"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("labels", "defined"),
    [
        ([], set()),
        ([1, 1], {"acc", "acc_fake", "acc_val_threshold"}),
        ([0, 1], set(MEASURES)),
    ],
)
def test_generator_metrics_undefined_figures_are_none(labels: Any, defined: set[str]) -> None:
    fit: CalibrationFit = {"threshold": 0.0, "temperature": 1.0, "images": 2, "notes": []}
    logits = np.array([-1, 2][: len(labels)], np.float32)
    result = generator_metrics(np.array(labels, np.int64), logits, fit)
    assert {key for key in MEASURES if result[key] is not None} == defined
    assert result["acc"] == (0.5 if labels == [1, 1] else 1 if labels else None)


def test_generator_metrics_fit_changes_threshold_and_temperature_only() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    logits = (9 * (rng.normal(size=500) + 2 * labels) + 30).astype(np.float32)
    fit = calibration.fit(pa.table({"label": labels, "logit": logits}))
    assert fit is not None
    fitted, unfitted = generator_metrics(labels, logits, fit), generator_metrics(labels, logits)
    accuracy = fitted["acc_val_threshold"]
    assert accuracy == np.mean((logits > fit["threshold"]) == labels)
    assert fitted["acc"] + 0.2 < accuracy <= fitted["acc_oracle"]
    assert fitted["ece_calibrated"] < fitted["ece"]
    changed = {key for key in fitted if fitted[key] != unfitted[key]}
    assert changed == {"acc_val_threshold", "ece_calibrated"}
    assert unfitted["acc_val_threshold"] is unfitted["ece_calibrated"] is None


def test_generator_metrics_threshold_separates_neighbouring_float32_logits() -> None:
    # In float32 the threshold would be rounded to the upper one.
    logits = (1 + np.finfo(np.float32).eps * np.arange(1, 3)).astype(np.float32)
    fit = calibration.fit(pa.table({"label": [0, 1], "logit": logits}))
    assert generator_metrics(np.array([0, 1]), logits, fit)["acc_val_threshold"] == 1
    assert generator_metrics(np.array([1, 0]), logits, fit)["acc_val_threshold"] == 0


def test_evaluate_incomplete_generators_have_a_status_and_no_part_in_the_mean() -> None:
    scores = table([("a", 0, -1.0), ("a", 1, 1.0), ("b", 1, 0.5), ("b", 1, 2.0)])
    result = evaluate(scores, ["a", "b", "c"])
    status = {name: figures["status"] for name, figures in result["generators"].items()}
    assert status == {"a": "ok", "b": "fakes only", "c": "empty"}
    assert (result["mean"]["generators"], result["mean"]["ap"]) == (1, 1.0)
    for rows in (scores.slice(2), scores.slice(0, 0)):
        mean = evaluate(rows, ["b"])["mean"]
        assert (mean["generators"], mean["ap"], mean["ap_interval"]) == (0, None, None)


def test_evaluate_intervals_are_those_of_the_images_and_hold_the_ap() -> None:
    scores, real_sets = noisy_table(0), {"a": "s", "b": "s"}
    result = evaluate(scores, ["b", "a"], 0.9, real_sets)
    found = ap_intervals(scores, 0.9, real_sets)
    for name in "ab":
        expected = found["generators"][name]["interval"]
        assert result["generators"][name]["ap_interval"] == expected
    assert result["mean"]["ap_interval"] == found["mean"]["interval"]
    points = [figures["ap"] for figures in result["generators"].values()]
    assert result["mean"]["ap"] == pytest.approx(sum(points) / 2)
    assert list(result["generators"]) == ["b", "a"]


def test_evaluate_interval_holds_the_float32_ap() -> None:
    labels = [0, 0, 1, 1, 1, 0, 1]  # the AP 0.75595… is not a float32
    rows = [("a", label, float(k)) for k, label in enumerate(labels)]
    for scores in (table(rows), table([(name, label, -logit) for name, label, logit in rows])):
        figures = evaluate(scores, confidence=1e-12)["generators"]["a"]
        assert figures["ap_interval"] is not None and figures["ap"] is not None
        assert figures["ap_interval"][0] <= figures["ap"] <= figures["ap_interval"][1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_make_no_figures(value: float) -> None:
    scores = table([("a", 0, -1.0), ("a", 1, value), ("b", 0, value), ("b", 1, 1.0)])
    labels, logits = scores["label"].to_numpy(), scores["logit"].to_numpy()
    with pytest.raises(GenspotError, match="2 logits are not finite"):
        evaluate(scores)
    with pytest.raises(GenspotError, match="2 logits are not finite"):
        generator_metrics(labels, logits)
    with pytest.raises(GenspotError, match="2 logits are not finite"):
        calibration.fit(scores)


def test_generator_metrics_what_is_not_fitted_has_no_figures() -> None:
    labels, logits = np.array([0, 1, 0, 1]), np.array([-1.0, 2.0, 0.5, 0.1])
    fit: CalibrationFit = {"threshold": None, "temperature": None, "images": 4, "notes": []}
    assert generator_metrics(labels, logits, fit) == generator_metrics(labels, logits)
    separated = calibration.fit(pa.table({"label": [0, 1], "logit": [-1.0, 1.0]}))
    assert separated is not None and separated["temperature"] is None
    found = generator_metrics(labels, logits, separated)
    assert (found["acc_val_threshold"], found["ece_calibrated"]) == (0.75, None)


def test_evaluate_reads_a_file_or_a_run_folder(tmp_path: Path) -> None:
    scores = noisy_table(4, "ba")
    pyarrow.parquet.write_table(scores, tmp_path / "scores.parquet")
    expected = evaluate(scores, ["b", "a"])
    for source in (scores, tmp_path / "scores.parquet", str(tmp_path)):
        result = evaluate(source)
        assert result == expected and list(result["generators"]) == ["b", "a"]


def test_evaluate_invalid_scores_raise_one_line(tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"no table")
    scores = noisy_table(5)
    wrong_label = scores.set_column(3, "label", pa.array([-1] * scores.num_rows, pa.int8()))
    invalid: dict[str, Any] = {
        "does not exist": tmp_path / "missing.parquet",
        "cannot be read": tmp_path,
        "no column logit": scores.drop_columns("logit"),
        "the label -1": wrong_label,
    }
    for message, source in invalid.items():
        with pytest.raises(GenspotError, match=message) as error:
            evaluate(source)
        assert "\n" not in str(error.value)
