"""A run's folder: name, lock, configuration and completeness."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.runtime.run_folder import load_if_complete, lock_run_folder, run_id, save_config

SLURM = {"SLURM_JOB_ID": "17"}
ARRAY = {"SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "3"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "trial", "WORLD_SIZE": "2"}
VARIABLES = [*SLURM, *ARRAY, *TORCHRUN, "SLURM_JOB_NAME"]


@pytest.mark.parametrize(
    ("env", "start"),
    [
        (SLURM | {"SLURM_JOB_NAME": "genspot"}, "slurm-17-"),
        (SLURM | ARRAY, "slurm-16_3-"),
        (SLURM | TORCHRUN, "slurm-17-"),
        (TORCHRUN, "torchrun-trial-"),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, "20"),
        ({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"}, "20"),
        ({}, "20"),
    ],
)
def test_run_id_names_the_job_and_its_command_or_the_time(
    env: dict[str, str], start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_id_of(*overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", ["run.py", *overrides])
        run_id.cache_clear()
        return run_id()

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert run_id_of("seed=1").startswith(start)
    assert run_id_of("seed=1") != run_id_of("seed=2")
    assert (run_id_of("seed=1") == run_id_of("seed=1")) == (start != "20")


def test_run_id_of_ranks_without_a_common_name_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    run_id.cache_clear()
    with pytest.raises(GenspotError, match=r"--rdzv-id=NAME, or hydra\.run\.dir=PATH"):
        run_id()


def test_lock_of_a_locked_folder_raises_except_on_other_ranks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with lock_run_folder(tmp_path):
        with pytest.raises(GenspotError, match="another run"), lock_run_folder(tmp_path):
            pass
        monkeypatch.setenv("LOCAL_RANK", "1")
        with lock_run_folder(tmp_path):
            pass
        monkeypatch.delenv("LOCAL_RANK")
    with lock_run_folder(tmp_path):
        pass


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "last.ckpt", "previous.ckpt"])
def test_save_config_with_other_settings_raises_and_keeps_what_is_there(
    name: str, tmp_path: Path
) -> None:
    save_config(tmp_path, "seed: 1\n", "auto")
    (tmp_path / name).touch()
    with pytest.raises(GenspotError, match="with other settings; remove it"):
        save_config(tmp_path, "seed: 2\n", "auto")
    assert (tmp_path / name).is_file()
    assert (tmp_path / "config.yaml").read_text() == "seed: 1\n"


def test_save_config_removes_stale_results_and_on_never_checkpoints(tmp_path: Path) -> None:
    results = ("metrics.json", "scores.parquet", "validation.parquet", "report.html")
    checkpoints = ("last.ckpt", "previous.ckpt", "best.ckpt")
    for resume in ("auto", "never"):
        for name in results + checkpoints:
            (tmp_path / name).touch()
        save_config(tmp_path, "seed: 1\n", resume)
        assert not any((tmp_path / name).exists() for name in results)
        assert all((tmp_path / name).exists() == (resume == "auto") for name in checkpoints)
    (tmp_path / "last.ckpt").touch()
    save_config(tmp_path, "seed: 2\n", "never")
    assert (tmp_path / "config.yaml").read_text() == "seed: 2\n"


def test_save_config_on_another_rank_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "1")
    save_config(tmp_path / "run", "seed: 1\n", "auto")
    assert not (tmp_path / "run").exists()


def test_run_is_complete_once_its_last_file_is_written(tmp_path: Path) -> None:
    metrics = {"mean": {"ap": 0.5}}
    contents = {"config.yaml": "seed: 1\n", "metrics.json": json.dumps(metrics)}
    for name in ("config.yaml", "best.ckpt", "metrics.json", "scores.parquet", "report.html"):
        assert load_if_complete(tmp_path, "seed: 1\n", "auto") is None
        (tmp_path / name).write_text(contents.get(name, ""))
    assert load_if_complete(tmp_path, "seed: 1\n", "auto") == metrics
    assert load_if_complete(tmp_path, "seed: 1\n", "never") is None
    assert load_if_complete(tmp_path, "seed: 2\n", "auto") is None


def test_test_is_complete_only_with_results_newer_than_its_checkpoint(tmp_path: Path) -> None:
    for name in ("config.yaml", "metrics.json", "scores.parquet", "report.html"):
        (tmp_path / name).write_text("{}")
    checkpoint = tmp_path / "tested.ckpt"
    checkpoint.touch()
    os.utime(checkpoint, (1, 1))
    assert load_if_complete(tmp_path, "{}", "auto", newer_than=checkpoint) == {}
    os.utime(checkpoint, (2**33, 2**33))
    assert load_if_complete(tmp_path, "{}", "auto", newer_than=checkpoint) is None
