"""Curves of a resumed training: the same file as without an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytorch_lightning.loggers import CSVLogger

from genspot.runtime.metrics_csv import read_metrics_csv, restore_metrics_csv


def log_steps(first: int, last: int, logger: CSVLogger) -> None:
    for step in range(first, last):
        logger.log_metrics({"train/loss": 1 / (step + 1)}, step)
        if step % 4 == 3:
            logger.log_metrics({"val/acc": step / 20}, step)
    logger.save()


def test_restored_curves_continue_as_if_uninterrupted(tmp_path: Path) -> None:
    log_steps(0, 20, CSVLogger(tmp_path, "whole", ""))
    log_steps(0, 11, CSVLogger(tmp_path, "resumed", ""))
    rows = read_metrics_csv(tmp_path / "resumed", steps=9)
    logger = CSVLogger(tmp_path, "resumed", "")
    restore_metrics_csv(rows, [object(), logger])
    log_steps(9, 20, logger)
    texts = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "resumed")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("rest", ["1", "0.5,", ",,", "\0\0\0", "x,y,z", "9,0.1,"])
def test_read_skips_incomplete_lines_and_later_steps(rest: str, tmp_path: Path) -> None:
    text = "step,train/loss,val/acc\n0,0.7,\n1,,0.5\n"
    (tmp_path / "metrics.csv").write_text(text + rest)
    assert [row["step"] for row in read_metrics_csv(tmp_path, steps=9)] == ["0", "1"]


def test_read_leaves_out_the_results_of_a_training_that_had_ended(tmp_path: Path) -> None:
    text = "ap/mean,epoch,step,train/loss\n,0,1,0.7\n0.9,,0,\n,1,3,0.6\n"
    (tmp_path / "metrics.csv").write_text(text)
    assert [row["step"] for row in read_metrics_csv(tmp_path, steps=9)] == ["1", "3"]


def test_read_without_a_file_gives_no_rows(tmp_path: Path) -> None:
    assert read_metrics_csv(tmp_path, steps=9) == []
