"""Sweeps with each launcher: the same results, failed jobs, stopped sweeps, preempted jobs."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joblib import cpu_count

from genspot.tasks import sweep_jobs
from helpers.cli_runner import CliRunner
from helpers.processes import is_running
from helpers.runs import assert_same_training
from helpers.settings import ROOT, tiny
from helpers.tasks import composed

JOB = ["-m", "task=test"]
ENV = {"PYTHONPATH": str(ROOT / "tests")}  # for the jobs to find helpers.sweep_jobs
BASIC = ["hydra/launcher=basic"]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
SUBMITIT = ["hydra/launcher=submitit_local"]
RAY = ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]
slow = pytest.mark.slow
no_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="make ray installs it")
LAUNCHERS = [
    pytest.param(JOBLIB, id="joblib"),
    pytest.param(SUBMITIT, id="submitit", marks=slow),
    pytest.param(RAY, id="ray", marks=[slow, no_ray]),
]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sweep in the background, in a process group of its own, as a shell does."""
    processes: list[subprocess.Popen[str]] = []

    def start_sweep(*overrides: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "run.py"), *JOB, *overrides]
        process = subprocess.Popen(
            [*command, f"hydra.sweep.dir={tmp_path}/sweep"],
            cwd=tmp_path,
            env={name: os.environ[name] for name in os.environ if "THREADS" not in name} | ENV,
            start_new_session=True,
            # It is ignored in what a shell runs in the background, such as these tests.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start_sweep
    for process in processes:
        process.kill()
        process.wait()


def wait_for(folder: Path, pattern: str, count: int) -> list[Path]:
    """Return `count` files of `pattern`, once they have content."""
    end = time.monotonic() + 60
    while len(found := [file for file in folder.glob(pattern) if file.stat().st_size]) < count:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return sorted(found)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_failed_job_is_named_and_the_others_run(
    launcher: list[str], run: CliRunner, tmp_path: Path
) -> None:
    overrides = [*JOB, "task.run=helpers.sweep_jobs.finish", "seed=1,13,2", *launcher]
    result = run(*overrides, f"paths.runs={tmp_path}/runs", cwd=tmp_path, **ENV)
    assert result.returncode == 1
    (folder,) = (tmp_path / "runs").iterdir()  # all jobs share the time of day in its name
    last = result.stderr.splitlines()[-1]
    assert last == f"genspot: job 1 failed with exit code 7: {folder}/1_test"
    assert len(list(folder.glob("*/done"))) == 2


@pytest.mark.parametrize(
    ("launcher", "name"),
    [
        pytest.param(BASIC, "SIGINT", id="basic-SIGINT"),
        pytest.param(JOBLIB, "SIGTERM", id="joblib-SIGTERM", marks=slow),
        pytest.param(JOBLIB, "SIGINT", id="joblib-SIGINT", marks=slow),
        pytest.param(SUBMITIT, "SIGTERM", id="submitit-SIGTERM", marks=slow),
        pytest.param(RAY, "SIGINT", id="ray-SIGINT", marks=[slow, no_ray]),
    ],
)
def test_stopped_sweep_lets_its_jobs_save_and_starts_no_others(
    launcher: list[str], name: str, start: Start, tmp_path: Path
) -> None:
    sweep = start("task.run=helpers.sweep_jobs.run_until_stopped", "seed=1,2,3", *launcher)
    began = wait_for(tmp_path, "sweep/*/began", 1 if launcher is BASIC else 2)
    if name == "SIGINT":
        os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
    else:
        sweep.send_signal(signal.SIGTERM)
    if launcher is JOBLIB:  # it divides the cores among the jobs
        assert began[0].read_text().split()[2] == str(max(1, cpu_count() // 2))
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 128 + getattr(signal, name)
    command = [sys.executable, str(ROOT / "run.py"), *JOB]
    assert f"sweep stopped by {name}; to continue: {' '.join(command)}" in output
    assert f"hydra.sweep.dir={tmp_path}/sweep\n" in output
    saved = tmp_path.glob("sweep/*/saved")
    assert {file.parent for file in saved} >= {file.parent for file in began}
    for file in tmp_path.glob("sweep/*/began"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text().split()[0]), 0)
    if launcher is not SUBMITIT:  # which starts all at once
        assert not (tmp_path / "sweep" / "2_test" / "began").exists()


@slow
@pytest.mark.parametrize("launcher", [BASIC, JOBLIB])
def test_second_signal_ends_a_sweep_and_its_stuck_jobs(
    launcher: list[str], start: Start, tmp_path: Path
) -> None:
    sweep = start("task.run=helpers.sweep_jobs.hang", "seed=1,2", *launcher)
    began = wait_for(tmp_path, "sweep/*/began", 1)
    sweep.send_signal(signal.SIGTERM)
    time.sleep(7)
    assert sweep.poll() is None
    sweep.send_signal(signal.SIGTERM)
    output, _ = sweep.communicate(timeout=20)
    assert sweep.returncode == 143
    assert "ended at once by a second signal, SIGTERM" in output
    time.sleep(1)
    for file in began:
        assert not is_running(int(file.read_text()))


def test_report_of_a_sweep_that_fails_is_an_error(run: CliRunner, tmp_path: Path) -> None:
    overrides = [*JOB, "task.run=helpers.sweep_jobs.finish", "seed=1,2", *BASIC]
    damaged = tmp_path / "sweep" / "old" / "metrics.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{}")
    result = run(*overrides, f"hydra.sweep.dir={tmp_path}/sweep", cwd=tmp_path, **ENV)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last == (f"genspot: the report on {tmp_path}/sweep failed; its own line says why")


def test_preempted_job_is_requeued_with_its_command_and_folder(
    start: Start, tmp_path: Path
) -> None:
    sweep = start("task.run=helpers.sweep_jobs.run_until_stopped", "seed=5", *SUBMITIT)
    (began,) = wait_for(tmp_path, "sweep/*/began", 1)
    for pid in began.read_text().split()[:2]:
        os.kill(int(pid), signal.SIGUSR2)  # SLURM sends it to all processes of the job
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, output
    saved, done = ((began.parent / name).read_text() for name in ("saved", "done"))
    assert saved == done
    assert f"seed=5 hydra.mode=RUN hydra.run.dir={began.parent}" in done.replace('"', "")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_any_launcher_gives_the_same_bits_and_repeats_only_what_is_missing(
    launcher: list[str], trained: Path, run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    def sweep() -> None:
        overrides = ["-m", *tiny(sets), *launcher, "seed=0,1", "hydra.sweep.subdir=${seed}"]
        result = run(*overrides, f"hydra.sweep.dir={tmp_path}/sweep", cwd=tmp_path)
        assert result.returncode == 0, result.stderr

    sweep()
    first, second = tmp_path / "sweep" / "0", tmp_path / "sweep" / "1"
    assert_same_training(first, trained)
    assert (tmp_path / "sweep" / "results.md").is_file()
    before = (first / "best.ckpt").stat().st_mtime_ns
    (second / "metrics.json").unlink()
    sweep()
    assert (first / "best.ckpt").stat().st_mtime_ns == before
    assert (second / "metrics.json").is_file()


def test_job_gets_all_overrides_but_those_of_the_sweep(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(sweep_jobs, "run_job", lambda *arguments: calls.append(arguments))
    sweep = [*JOBLIB, "hydra.mode=MULTIRUN", f"hydra.sweep.dir={tmp_path}"]
    with composed(*tiny(sets), *sweep, "+hydra.job.num=3", folder=tmp_path / "3") as cfg:
        sweep_jobs.run_job_in_subprocess(cfg)
    ((command, number, folder, sweep_folder),) = calls
    expected = {*tiny(sets), "hydra.mode=RUN", f"hydra.run.dir={tmp_path}/3"}
    assert expected < set(command)  # with the user's hydra.searchpath
    assert not set(sweep) & set(command)
    assert (number, folder, sweep_folder) == (3, tmp_path / "3", tmp_path)
