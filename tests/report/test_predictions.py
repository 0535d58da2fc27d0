from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from genspot.report.predictions import (
    COLUMNS,
    VERDICTS,
    join_predictions,
    join_unreadable,
    prediction_table,
    verdict,
    verdict_counts,
    with_facts,
)
from helpers.predictions import FACTS, GRADED, SCORES


def test_verdict_is_undecided_near_zero() -> None:
    assert [verdict(logit) for logit in (-0.99, 0.99)] == 2 * ["undecided"]
    assert (verdict(-1.0), verdict(1.0)) == ("no traces found", "looks generated")


def test_verdict_counts_are_those_of_the_verdicts() -> None:
    logits = np.array([-5, -1, -0.99, 0, 0.99, 1, 1, 7])
    said = [verdict(logit) for logit in logits]
    assert verdict_counts(logits) == [said.count(name) for name in VERDICTS] == [3, 3, 2]


def test_prediction_table_is_sorted_and_uncalibrated() -> None:
    table = prediction_table(SCORES)
    assert table["path"].to_pylist() == ["[b].png", "[c].png", "[a].png"]
    logits = table["logit"].to_numpy()
    assert logits.tolist() == [2.5, 0.5, -30.0]
    assert table["probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-12)
    assert table["verdict"].to_pylist() == ["looks generated", "undecided", "no traces found"]
    assert table["calibrated"].to_pylist() == 3 * [False]
    assert table["padded"].to_pylist() == [True, False, False]


@pytest.mark.parametrize("logit", [math.nan, math.inf, -math.inf])
def test_no_verdict_is_made_of_a_logit_that_is_not_finite(logit: float) -> None:
    with pytest.raises(ValueError, match="no verdict"):
        verdict(logit)


def test_prediction_table_keeps_its_columns_and_adds_the_grades() -> None:
    table = prediction_table(GRADED)
    plain = prediction_table(GRADED.select(["path", "logit", "padded"]))
    names = [name for name in plain.column_names if name != "threshold"]
    assert table.select(names).equals(plain.select(names))
    assert table["grade"].to_pylist() == ["moderate evidence", "cannot say"]
    assert (table["threshold"].to_pylist(), plain["threshold"].to_pylist()) == (
        [3.25, None],
        [1.0, 1.0],
    )


def test_with_facts_names_the_detector_in_each_row_and_keeps_the_order_of_columns() -> None:
    table = with_facts(prediction_table(GRADED), FACTS)
    assert table.column_names == [
        name for name in COLUMNS if name not in ("claims", "decision", "prior", "likelihood_ratio")
    ]
    assert table.select(FACTS._fields).to_pylist() == [FACTS._asdict()] * 2
    assert table["fpr"].to_pylist() == [0.01, 0.01]
    whole = with_facts(prediction_table(SCORES), FACTS._replace(crop=None))
    assert (whole["crop"].to_pylist(), whole["fpr"].to_pylist()) == ([None] * 3, [None] * 3)


@pytest.mark.parametrize(
    ("threshold", "decision"), [(2.5, "alarm"), (2.6, "no alarm"), (None, "cannot say")]
)
def test_with_facts_decides_at_a_rate(threshold: float | None, decision: str) -> None:
    place = GRADED.column_names.index("threshold")
    scores = GRADED.set_column(place, "threshold", pa.array([None, threshold], pa.float64()))
    table = with_facts(prediction_table(scores), FACTS, fpr=0.05)
    assert table["decision"].to_pylist() == [decision, "cannot say"]
    assert table["fpr"].to_pylist() == [0.05, 0.05]


def test_join_predictions_has_the_rows_of_a_photo_side_by_side() -> None:
    first = with_facts(prediction_table(SCORES), FACTS._replace(detector="first"))
    lost = GRADED.set_column(0, "path", pa.array(["[a].png", "new.png"]))
    second = with_facts(prediction_table(lost), FACTS._replace(detector="second"))
    table = join_predictions([first, second])
    assert table.select(["path", "detector"]).to_pylist() == [
        {"path": path, "detector": name}
        for path, name in (
            *(("[b].png", "first"), ("[c].png", "first"), ("[a].png", "first")),
            *(("[a].png", "second"), ("new.png", "second")),
        )
    ]
    assert table["grade"].to_pylist() == [None] * 3 + ["cannot say", "moderate evidence"]
    assert table.column_names == [name for name in COLUMNS if name in second.column_names]
    assert join_predictions([first]) is first


def test_join_unreadable_names_the_detectors_of_each_reason() -> None:
    torn = {"path": "a.png", "reason": "truncated"}
    first = pa.Table.from_pylist([torn, {"path": "b.png", "reason": "too large"}])
    second = pa.Table.from_pylist([torn, {"path": "b.png", "reason": "too small"}])
    assert join_unreadable([("one", first)]) is first
    assert join_unreadable([("one", first), ("two", second)]).to_pylist() == [
        {"path": "a.png", "reason": "truncated", "detector": "one, two"},
        {"path": "b.png", "reason": "too large", "detector": "one"},
        {"path": "b.png", "reason": "too small", "detector": "two"},
    ]
