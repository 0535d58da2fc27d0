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
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from joblib import cpu_count
from omegaconf import OmegaConf

from genspot.runtime.run_folder import lock_run_folder
from genspot.runtime.sweeps import NOTES
from genspot.tasks import sweep_jobs
from helpers.cli_runner import CliRunner
from helpers.settings import ROOT, tiny

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
    overrides = [*JOB, "task.run=helpers.sweep_jobs.describe", "seed=1,13,2", *launcher]
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
    assert f"sweep stopped by {name}; the same command, into {tmp_path}/sweep" in output
    saved = tmp_path.glob("sweep/*/saved")
    assert {file.parent for file in saved} >= {file.parent for file in began}
    for file in tmp_path.glob("sweep/*/began"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text().split()[0]), 0)
    if launcher is not SUBMITIT:  # which starts all at once
        assert not (tmp_path / "sweep" / "2_test" / "began").exists()


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


def run_two_trainings(run: CliRunner, sets: Path, folder: Path, launcher: list[str]) -> Path:
    overrides = ["-m", *tiny(sets), "schedule.max_epochs=1", "logger=none", *launcher]
    overrides += ["aug=none,blur_jpg_0.1", "hydra.sweep.subdir=${aug.name}"]
    result = run(*overrides, f"hydra.sweep.dir={folder}/sweep", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "sweep"


@pytest.fixture(scope="module")
def basic_sweep(run: CliRunner, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep with Hydra's own launcher, one job after the other."""
    return run_two_trainings(run, sets, tmp_path_factory.mktemp("basic"), [])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_any_launcher_gives_the_same_bits_and_repeats_only_what_is_missing(
    launcher: list[str], basic_sweep: Path, run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    swept = run_two_trainings(run, sets, tmp_path, launcher)
    for name in ("none", "blur_jpg_0.1"):
        scores, expected = (
            pq.read_table(folder / name / "scores.parquet") for folder in (swept, basic_sweep)
        )
        assert scores.equals(expected)
        assert scores.num_rows == 14
    assert (swept / "results.md").read_text() == (basic_sweep / "results.md").read_text()
    trained = (swept / "none" / "best.ckpt").stat().st_mtime_ns
    (swept / "blur_jpg_0.1" / "metrics.json").unlink()
    run_two_trainings(run, sets, tmp_path, launcher)
    assert (swept / "none" / "best.ckpt").stat().st_mtime_ns == trained
    assert (swept / "blur_jpg_0.1" / "metrics.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS[1:])
def test_job_has_several_gpus(launcher: list[str], run: CliRunner, tmp_path: Path) -> None:
    shared = ["+hydra.launcher.ray.init.num_gpus=4", "+hydra.launcher.ray.remote.num_gpus=2"]
    several = shared if launcher is RAY else ["hydra.launcher.gpus_per_node=2"]
    overrides = [*JOB, "task.run=helpers.sweep_jobs.describe", "seed=1,2", *launcher, *several]
    result = run(*overrides, f"hydra.sweep.dir={tmp_path}/sweep", cwd=tmp_path, **ENV)
    assert result.returncode == 0, result.stderr
    seen = [file.read_text().split()[1] for file in sorted(tmp_path.glob("sweep/*/done"))]
    assert sorted(seen) == (["0,1", "2,3"] if launcher is RAY else ["0,1", "0,1"])


@pytest.mark.parametrize("mode", ["run", "sweep"])
def test_two_at_once_in_a_folder_are_refused(mode: str, run: CliRunner, tmp_path: Path) -> None:
    locked = tmp_path / "out" / NOTES if mode == "sweep" else tmp_path / "out"
    locked.mkdir(parents=True)
    overrides = [*JOB[mode == "run" :], "task.run=helpers.sweep_jobs.describe", "seed=1"]
    overrides.append(f"hydra.{mode}.dir={tmp_path}/out")
    with lock_run_folder(locked):
        result = run(*overrides, cwd=tmp_path, **ENV)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"genspot: another {mode} is at work in {tmp_path}/out; wait for it")
    assert not list(tmp_path.rglob("done"))


def test_job_gets_the_configs_of_its_user_and_no_setting_of_the_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hydra = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=sweep", "hydra/launcher=joblib"]
    hydra += ["+hydra.launcher.ray.init.num_cpus=2", "~hydra.sweeper.params", "hydra.run.dir=x"]
    kept = ["hydra.searchpath=[file://mine]", "hydra.verbose=true"]
    sources = [{"provider": "main", "path": "conf"}, {"provider": "command-line", "path": "own"}]
    job = {
        "job": {"num": 3},
        "runtime": {"output_dir": str(tmp_path / "sweep" / "3"), "config_sources": sources},
        "overrides": {"task": ["task=test"], "hydra": [*hydra, *kept]},
        "sweep": {"dir": str(tmp_path / "sweep")},
    }
    calls = []
    monkeypatch.setattr(sweep_jobs, "run_job", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(
        sweep_jobs, "HydraConfig", SimpleNamespace(get=lambda: OmegaConf.create(job))
    )
    sweep_jobs.run_job_in_subprocess(OmegaConf.create())
    ((command, number, folder, sweep_folder),) = calls
    assert command[:3] == [sys.executable, "-m", "genspot.tasks.main"]
    run_dir = f'hydra.run.dir="{tmp_path}/sweep/3"'
    assert command[3:] == ["--config-dir", "own", *kept, "task=test", "hydra.mode=RUN", run_dir]
    assert (number, folder, sweep_folder) == (3, tmp_path / "sweep" / "3", tmp_path / "sweep")
