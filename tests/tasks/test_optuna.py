"""Sweeps by Optuna: the real sweeper gets each run's objective, also where jobs fail or stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from helpers.cli_runner import CliRunner
from helpers.runs import read_csv, read_metrics
from helpers.settings import ROOT, tiny

OPTUNA = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=1"]
MAXIMIZE = "hydra.sweeper.direction=maximize"
ENV = {"PYTHONPATH": str(ROOT / "tests")}  # for the jobs to find helpers.objective_jobs
SCORE = ["task=test", "task.run=helpers.objective_jobs.score_seed", "logger=none"]


def optimum(folder: Path) -> dict[str, Any]:
    """Return what Optuna found."""
    content: dict[str, Any] = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    return content


def test_search_is_over_the_logged_figure_of_the_best_checkpoint_and_goes_on(
    sets: Path, run: CliRunner, tmp_path: Path
) -> None:
    search = ["hydra.sweeper.n_trials=2", "hydra.sweeper.sampler.seed=1", MAXIMIZE]
    search += ["schedule.optimizer.lr=tag(log,interval(1e-4,1e-1))", "objective=val/ap"]
    search += [f"hydra.sweep.dir={tmp_path}/sweep"]
    result = run(*OPTUNA, *tiny(sets), *search, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folders = sorted(path.parent for path in tmp_path.glob("sweep/*/metrics.json"))
    assert len(folders) == 2
    values = []
    for folder in folders:
        best = torch.load(folder / "best.ckpt", weights_only=True)
        rows = [row for row in read_csv(folder / "metrics.csv") if row.get("val/ap")]
        (row,) = [row for row in rows if int(row["step"]) + 1 == best["global_step"]]
        figures = read_metrics(folder)["validation"]
        for name in ("ap", "acc", "loss"):
            assert figures[name] == pytest.approx(float(row[f"val/{name}"]), abs=1e-6)
        values.append(figures["ap"])
    first = optimum(tmp_path / "sweep")
    assert first["best_value"] == max(values)
    assert (tmp_path / "sweep" / "report.html").is_file()
    # The same command draws the same settings, whose jobs are complete.
    result = run(*OPTUNA, *tiny(sets), *search, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(" is complete: ") == 2
    assert optimum(tmp_path / "sweep") == first


def test_failed_job_has_no_objective_and_the_others_count(run: CliRunner, tmp_path: Path) -> None:
    search = ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=2", "seed=1,2,3,4"]
    search += [MAXIMIZE, "hydra.sweeper.n_trials=8", "hydra.sweeper.max_failure_rate=1"]
    search += [f"hydra.sweep.dir={tmp_path}/sweep"]
    result = run(*OPTUNA, *SCORE, *search, cwd=tmp_path, **ENV)
    assert result.returncode == 1
    found = optimum(tmp_path / "sweep")
    figures = [read_metrics(path.parent) for path in tmp_path.glob("sweep/*/metrics.json")]
    values = [one["mean"]["ap"] for one in figures]
    assert None in values and len(values) < 8  # seeds 4 and 3 were drawn
    best = max(value for value in values if value is not None)
    assert (found["best_params"], found["best_value"]) == ({"seed": round(10 * best)}, best)
    last = result.stderr.splitlines()[-1]
    assert "failed with exit code 5: " in last and "objective=ap/mean is not defined there" in last
    assert "Traceback" not in result.stderr


def test_search_ends_at_a_failed_job_unless_it_allows_for_them(
    run: CliRunner, tmp_path: Path
) -> None:
    search = ["hydra.sweeper.n_trials=3", "seed=choice(3)", MAXIMIZE]
    search += [f"hydra.sweep.dir={tmp_path}/sweep"]
    result = run(*OPTUNA, *SCORE, *search, cwd=tmp_path, **ENV)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last == f"genspot: job 0 failed with exit code 5: {tmp_path}/sweep/0_test"
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.glob("sweep/[0-9]*")] == ["0_test"]


def test_stopped_search_starts_no_other_job(tmp_path: Path) -> None:
    search = ["hydra.sweeper.n_trials=3", "seed=1,2", MAXIMIZE, "hydra.sweeper.max_failure_rate=1"]
    command = [sys.executable, str(ROOT / "run.py"), *OPTUNA, "task=test", *search]
    command += ["task.run=helpers.objective_jobs.wait", f"hydra.sweep.dir={tmp_path}/sweep"]
    sweep = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | ENV, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not list(tmp_path.glob("sweep/*/began")):
        assert sweep.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    sweep.send_signal(signal.SIGTERM)
    _, errors = sweep.communicate(timeout=60)
    assert sweep.returncode == 128 + signal.SIGTERM
    assert "sweep stopped by SIGTERM; to continue: " in errors.splitlines()[-1]
    assert len(list(tmp_path.glob("sweep/*/began"))) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "objective=val/ap needs hydra.sweeper.direction=maximize, not minimize"),
        ([MAXIMIZE, "objective=ap/nowhere"], "objective=ap/nowhere: no nowhere is tested"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_search_that_cannot_succeed_ends_before_its_first_job(
    settings: list[str], message: str, run: CliRunner, tmp_path: Path
) -> None:
    folder = f"hydra.sweep.dir={tmp_path}/sweep"
    result = run(*OPTUNA, "seed=1,2", *settings, folder, cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"genspot: {message}")
    assert not list(tmp_path.glob("sweep/[0-9]*"))
