"""Tables of scores, from the test loop to the disk and back."""

from __future__ import annotations

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
from helpers.scores import make_scores

SCORES = make_scores([("a", "cat", f"{k}.png", k % 2, 0.5 * k) for k in range(5)])
SAMPLES = SCORES.drop_columns("logit")


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


def test_validation_is_read_for_the_same_crop_only(tmp_path: Path) -> None:
    assert read_validation(tmp_path, 224) is None
    for crop, other in ((224, 32), (224, None), (None, 224)):
        write_validation(SCORES, tmp_path, crop)
        table = read_validation(tmp_path, crop)
        assert table is not None and table.to_pylist() == SCORES.to_pylist()
        assert read_validation(tmp_path, other) is None
    (tmp_path / "validation.parquet").write_bytes(b"truncated")
    assert read_validation(tmp_path, None) is None


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf"), None])
def test_no_figures_are_made_of_logits_that_are_not_finite(logit: float | None) -> None:
    logits = pa.array([0.5, logit, 1.5, 2.5, -1.0], pa.float32())
    table = SAMPLES.append_column("logit", logits)
    with pytest.raises(GenspotError, match=r"^mine: 1 logits are not finite"):
        check_scores(table, "mine")
    check_scores(table.slice(2), "mine")
    check_scores(table.slice(0, 0), "mine")
