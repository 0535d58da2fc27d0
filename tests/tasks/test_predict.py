"""Predictions for photos and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.runs import read_csv, read_logits
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task


@pytest.mark.parametrize("inputs", ["test", "test/1_fake/003.png"])
def test_predict_scores_as_the_test_did_and_lists_what_is_unreadable(
    inputs: str, trained: Path, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    folder = run_task(*settings, f"inputs={sets}/{inputs}", folder=tmp_path / "run")
    rows = read_csv(folder / "predictions.csv")
    logits = {row["path"]: float(row["logit"]) for row in rows}
    assert list(logits.values()) == sorted(logits.values(), reverse=True)
    expected = {path: logit for path, logit in read_logits(trained).items() if inputs in path}
    assert logits == pytest.approx(expected, abs=1e-6)
    for row in rows:
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-float(row["logit"]))))
    unreadable = [Path(row["path"]).name for row in read_csv(folder / "unreadable.csv")]
    assert unreadable == (["broken.png"] if inputs == "test" else [])
    assert "not calibrated" in capsys.readouterr().out
