"""Tables of scores, from the test loop to the disk and back."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.evaluation.scores import (
    check_scores,
    read_validation,
    score_table,
    unreadable_table,
    write_validation,
)
from helpers.errors import error_of
from helpers.scores import make_scores

SCORES = make_scores([("a", "cat", f"{k}.png", k % 2, 0.5 * k) for k in range(5)])
SAMPLES = SCORES.drop_columns("logit")
TEXT_LOGITS = SAMPLES.append_column("logit", pa.array(["0.5"] * 5))


def test_score_table_has_the_order_of_the_samples() -> None:
    table = score_table(SAMPLES, [3, 0, 4], [3.5, 0.1, -4], [False, True, False])
    assert table.schema.field("logit").type == pa.float32()
    assert table["logit"].to_pylist() == pytest.approx([0.1, 3.5, -4])
    assert table["padded"].to_pylist() == [True, False, False]
    assert table.drop_columns(["logit", "padded"]) == SAMPLES.take([0, 3, 4])


def test_tables_without_rows_are_empty() -> None:
    table = score_table(SAMPLES, [], [], [])
    assert (table.num_rows, table.column_names[-2:]) == (0, ["logit", "padded"])
    assert unreadable_table(SAMPLES, {}).num_rows == 0


def test_unreadable_table_gives_rows_in_order_with_reasons() -> None:
    table = unreadable_table(SAMPLES, {4: "broken", 1: "missing"})
    assert table["path"].to_pylist() == SAMPLES["path"].take([1, 4]).to_pylist()
    assert table["reason"].to_pylist() == ["missing", "broken"]


def test_validation_is_read_for_the_same_crop_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert read_validation(tmp_path, 224) is None
    for crop, other in ((224, 32), (224, None), (None, 224)):
        write_validation(SCORES, tmp_path, crop)
        table = read_validation(tmp_path, crop)
        assert table is not None and table.to_pylist() == SCORES.to_pylist()
        assert read_validation(tmp_path, other) is None
    for table in (SCORES.drop_columns("label"), TEXT_LOGITS, SCORES.drop_columns("logit")):
        write_validation(table, tmp_path, None)
        assert read_validation(tmp_path, None) is None
        assert "validation.parquet has " in caplog.messages[-1]
    (tmp_path / "validation.parquet").write_bytes(b"truncated")
    assert read_validation(tmp_path, None) is None


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("logit", pa.array(["0.5"] * 5), "values of type string in the column logit"),
        ("logit", pa.array([[0.5]] * 5), "values of type list"),
        ("label", pa.array(["1"] * 5), "values of type string in the column label"),
        ("label", pa.array([[1]] * 5), "values of type list"),
        ("generator", pa.array([1] * 5), "values of type int64 in the column generator"),
        ("generator", pa.array([None] * 5), "values of type null in the column generator"),
        ("path", pa.array(["a", None, "b", "c", "d"]), "empty cells in the column path"),
        ("class", pa.array([b"a"] * 5), "values of type binary in the column class"),
    ],
)
def test_column_of_another_type_is_named(column: str, values: pa.Array, expected: str) -> None:
    table = SCORES.set_column(SCORES.column_names.index(column), column, values)
    message = error_of(check_scores, table, "mine")
    assert message.startswith(f"mine has {expected}") and ": it must be " in message


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf"), None])
def test_no_figures_are_made_of_logits_that_are_not_finite(logit: float | None) -> None:
    logits = pa.array([0.5, logit, 1.5, 2.5, -1.0], pa.float32())
    table = SAMPLES.append_column("logit", logits)
    with pytest.raises(GenspotError, match=r"^mine: 1 logits are not finite"):
        check_scores(table, "mine")
    check_scores(table.slice(2), "mine")
    check_scores(table.slice(0, 0), "mine")
