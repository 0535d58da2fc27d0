"""Predictions for photos and folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genspot.common.errors import GenspotError
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


def test_predict_refuses_weights_that_are_not_finite_before_it_reads_images(
    trained: Path, tmp_path: Path
) -> None:
    content = torch.load(trained / "best.ckpt", weights_only=True)
    content["state_dict"]["network.backbone.1.running_var"][3] = torch.nan
    torch.save(content, tmp_path / "nan.ckpt")
    settings = ["task=predict", f"checkpoint={tmp_path}/nan.ckpt", f"inputs={tmp_path}/none"]
    expected = r"nan\.ckpt is of no use: network\.backbone\.1\.running_var holds NaN"
    with pytest.raises(GenspotError, match=expected):
        run_task(*settings, SEARCH_PATH, folder=tmp_path / "run")


def test_predict_refuses_weights_that_overflow_before_it_reads_images(
    trained: Path, tmp_path: Path
) -> None:
    content = torch.load(trained / "best.ckpt", weights_only=True)
    for key, value in content["state_dict"].items():
        if key.endswith("weight"):
            value.fill_(3e38)
    torch.save(content, tmp_path / "huge.ckpt")
    settings = ["task=predict", f"checkpoint={tmp_path}/huge.ckpt", f"inputs={tmp_path}/none"]
    with pytest.raises(GenspotError, match=r"the logit of a black image is (nan|-?inf)"):
        run_task(*settings, SEARCH_PATH, folder=tmp_path / "run")
