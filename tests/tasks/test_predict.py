"""Predictions for photos and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.runs import read_csv, read_logits
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task


@pytest.fixture
def settings(trained: Path) -> list[str]:
    return ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]


def test_predict_scores_one_photo_as_the_test_did(
    settings: list[str], sets: Path, trained: Path, tmp_path: Path
) -> None:
    photo = sets / "test" / "1_fake" / "003.png"
    folder = run_task(*settings, f"inputs={photo}", folder=tmp_path / "run")
    (row,) = read_csv(folder / "predictions.csv")
    assert float(row["logit"]) == pytest.approx(read_logits(trained)[str(photo)], abs=1e-6)
    expected = 1 / (1 + np.exp(-float(row["logit"])))
    assert float(row["probability"]) == pytest.approx(expected)


def test_predict_scores_a_folder_and_lists_what_is_unreadable(
    settings: list[str], sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_task(*settings, f"inputs={sets}/test", folder=tmp_path / "run")
    logits = [float(row["logit"]) for row in read_csv(folder / "predictions.csv")]
    assert len(logits) == 14
    assert logits == sorted(logits, reverse=True)
    (broken,) = read_csv(folder / "unreadable.csv")
    assert broken["path"].endswith("broken.png")
    assert "not calibrated" in capsys.readouterr().out
