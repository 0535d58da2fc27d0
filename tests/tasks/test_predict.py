"""Predictions for photos and folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genspot.common.errors import GenspotError
from genspot.tasks.plain_scoring import LAUNCHERS, is_plain
from helpers.runs import read_csv, read_logits
from helpers.settings import SEARCH_PATH
from helpers.tasks import composed, run_task


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


NOT_IMPORTED = {
    *("pytorch_lightning", "lightning_fabric", "albumentations", "torchmetrics", "wandb", "timm"),
    *("torchvision", "sklearn", "numba", "matplotlib", "scipy.optimize", "scipy.signal"),
    *("genspot.detector.module", "genspot.detector.callbacks", "genspot.tasks.components"),
}


def test_predict_of_one_photo_imports_nothing_of_a_training_and_starts_no_process(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, subprocess, multiprocessing\n"
        "from genspot.tasks.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('children:', len(multiprocessing.active_children()))\n"
        "print('imported:', *sys.modules)\n"
    )
    settings = [f"checkpoint={trained}/best.ckpt", f"inputs={sets}/test/1_fake/003.png"]
    settings += ["task=predict", f"hydra.run.dir={tmp_path}/run", SEARCH_PATH]
    result = subprocess.run(
        [sys.executable, "-c", program, *settings], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    *_, children, imported = result.stdout.splitlines()
    assert (tmp_path / "run" / "predictions.csv").is_file()
    assert children == "children: 0"
    assert not set(imported.split()) & NOT_IMPORTED


LIGHTNING = ["trainer=cpu", "+trainer.limit_predict_batches=1.0"]  # a setting of Lightning's own


def test_predict_with_lightning_scores_to_the_same_bits(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    settings += [f"inputs={sets}/test"]
    plain = run_task(*settings, folder=tmp_path / "plain")
    other = run_task(*settings, *LIGHTNING, folder=tmp_path / "lightning")
    for name in ("predictions.csv", "unreadable.csv"):
        assert (plain / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("overrides", "variables", "expected"),
    [
        ([], {}, True),
        (["trainer=cpu", "schedule.max_epochs=3"], {}, True),
        (["+trainer.check_val_every_n_epoch=5"], {}, True),
        (LIGHTNING, {}, False),
        (["trainer=ddp_cpu"], {}, False),
        (["trainer.devices=2"], {}, False),
        (["trainer.num_nodes=2"], {}, False),
        (["trainer.accelerator=gpu"], {}, False),
        ([], {"WORLD_SIZE": "2"}, False),
        ([], {"SLURM_NTASKS": "2"}, False),
    ],
)
def test_is_plain_tells_what_needs_lightning(
    overrides: list[str],
    variables: dict[str, str],
    expected: bool,
    hydra_ready: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with composed("task=predict", *overrides, folder=tmp_path) as cfg:
        assert is_plain(cfg) == expected


def test_is_plain_leaves_a_gpu_to_lightning(
    hydra_ready: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with composed("task=predict", folder=tmp_path) as cfg:
        assert not is_plain(cfg)
    with composed("task=predict", "trainer=cpu", folder=tmp_path) as cfg:
        assert is_plain(cfg)


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
