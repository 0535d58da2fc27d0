"""Sweeps by any launcher: the same results, jobs that fail, are told to end, or are preempted."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from _pytest.mark import ParameterSet
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf

from conftest import ROOT, Run, tiny
from genspot.runtime import lock as folders
from genspot.runtime import sweeps
from genspot.common.errors import GenspotError

CHORE = ["-m", "task=test"]
CHORES = {"PYTHONPATH": str(ROOT / "tests")}
BASIC = ["hydra/launcher=basic"]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
SUBMITIT = ["hydra/launcher=submitit_local"]
RAY = ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]
NO_RAY = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="make ray installs it")
joblib, submitit = pytest.param(JOBLIB, id="joblib"), pytest.param(SUBMITIT, id="submitit")
ray = pytest.param(RAY, id="ray", marks=[pytest.mark.slow, NO_RAY])


def slow(launcher: list[str], number: signal.Signals, id: str) -> ParameterSet:
    marks = [pytest.mark.slow, *([NO_RAY] if launcher is RAY else [])]
    return pytest.param(launcher, number, id=id, marks=marks)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A sweep of chores in the background, in a group of its own as a shell has it."""
    sweeping: list[subprocess.Popen[str]] = []

    def call(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "run.py"), *CHORE, *words]
        process = subprocess.Popen(
            [*command, f"hydra.sweep.dir={tmp_path}/sweep"],
            env={name: os.environ[name] for name in os.environ if "THREADS" not in name} | CHORES,
            start_new_session=True,
            # Whoever starts the tests in the background has it ignored, and so would the sweep.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        sweeping.append(process)
        return process

    yield call
    for process in sweeping:
        if process.poll() is None:
            process.kill()


def wait_for(folder: Path, pattern: str, count: int) -> list[Path]:
    """So many files, once something stands in them."""
    end = time.monotonic() + 60
    while len(found := [file for file in folder.glob(pattern) if file.stat().st_size]) < count:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return sorted(found)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("launcher", [joblib, submitit, ray])
def test_a_failed_job_is_named_and_the_others_are_done(
    launcher: list[str], run: Run, tmp_path: Path
) -> None:
    words = [*CHORE, "task.run=chores.describe", "seed=1,13,2", *launcher]
    result = run(*words, f"paths.runs={tmp_path}/runs", cwd=tmp_path, **CHORES)
    assert result.returncode == 1
    (folder,) = (tmp_path / "runs").iterdir()  # all jobs know its name, with its time of day
    last = result.stderr.splitlines()[-1]
    assert last == f"genspot: job 1 failed with exit code 7: {folder}/1_test"
    assert len(list(folder.glob("*/done"))) == 2


@pytest.mark.parametrize(
    ("launcher", "number"),
    [
        pytest.param(BASIC, signal.SIGINT, id="basic-SIGINT"),
        pytest.param(JOBLIB, signal.SIGTERM, id="joblib-SIGTERM"),
        slow(BASIC, signal.SIGHUP, id="basic-SIGHUP"),
        slow(BASIC, signal.SIGTERM, id="basic-SIGTERM"),
        slow(JOBLIB, signal.SIGINT, id="joblib-SIGINT"),
        slow(SUBMITIT, signal.SIGTERM, id="submitit-SIGTERM"),
        slow(SUBMITIT, signal.SIGINT, id="submitit-SIGINT"),
        slow(RAY, signal.SIGTERM, id="ray-SIGTERM"),
        slow(RAY, signal.SIGINT, id="ray-SIGINT"),
    ],
)
def test_a_sweep_told_to_end_lets_its_jobs_save_and_starts_no_others(
    launcher: list[str],
    number: signal.Signals,
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    sweep = start("task.run=chores.last_until_told", "seed=1,2,3", *launcher)
    began = wait_for(tmp_path, "sweep/*/began", 1 if launcher is BASIC else 2)
    if number == signal.SIGINT:
        os.killpg(sweep.pid, number)  # as a terminal does
    else:
        sweep.send_signal(number)
    if launcher is JOBLIB:  # it shares out the cores; more threads would wait for one another
        assert began[0].read_text().split()[2] == str(max(1, cpu_count() // 2))
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 128 + number
    assert f"sweep stopped by {number.name}; the same command, into {tmp_path}/sweep" in output
    saved = sorted(tmp_path.glob("sweep/*/saved"))
    assert {file.parent for file in saved} >= {file.parent for file in began}
    for file in tmp_path.glob("sweep/*/began"):
        assert not alive(int(file.read_text().split()[0]))
    if launcher is not SUBMITIT:  # which starts all at once
        assert not (tmp_path / "sweep" / "2_test" / "began").exists()


def test_a_preempted_job_is_requeued_with_its_command_and_folder(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    sweep = start("task.run=chores.last_until_told", "seed=5", "hydra/launcher=submitit_local")
    (began,) = wait_for(tmp_path, "sweep/*/began", 1)
    for pid in began.read_text().split()[:2]:
        os.kill(int(pid), signal.SIGUSR2)  # SLURM sends it to all processes of the job
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, output
    saved, done = ((began.parent / name).read_text() for name in ("saved", "done"))
    assert saved == done
    assert f"seed=5 hydra.mode=RUN hydra.run.dir={began.parent}" in done.replace('"', "")


@pytest.mark.parametrize("launcher", [pytest.param(BASIC, id="basic"), joblib])
def test_two_quick_ctrl_c_leave_no_job_behind(
    launcher: list[str], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """The sweep ends at once; its jobs still save, told by its absence or by the file `stop`."""
    sweep = start("task.run=chores.last_until_told", "seed=1,2", *launcher)
    began = wait_for(tmp_path, "sweep/*/began", 1 if launcher is BASIC else 2)
    for _ in range(2):
        os.killpg(sweep.pid, signal.SIGINT)
        time.sleep(0.2)
    assert sweep.wait(30) == -signal.SIGINT
    wait_for(tmp_path, "sweep/*/saved", len(began))
    for file in began:
        pid, end = int(file.read_text().split()[0]), time.monotonic() + 20
        while alive(pid):
            assert time.monotonic() < end
            time.sleep(0.1)


@pytest.fixture(scope="module")
def reference(run: Run, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two trainings by Hydra's own launcher, one after the other."""
    return augmentation(run, sets, tmp_path_factory.mktemp("reference"), [])


def augmentation(run: Run, sets: Path, folder: Path, launcher: list[str]) -> Path:
    words = ["-m", *tiny(sets), "workers=0", "schedule.max_epochs=1", "logger=none", *launcher]
    words += ["aug=none,blur_jpg_0.1", "hydra.sweep.subdir=${aug.name}"]
    result = run(*words, f"hydra.sweep.dir={folder}/sweep", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "sweep"


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [joblib, submitit, ray])
def test_any_launcher_gives_the_same_bits_and_runs_only_what_is_missing(
    launcher: list[str], reference: Path, run: Run, sets: Path, tmp_path: Path
) -> None:
    swept = augmentation(run, sets, tmp_path, launcher)
    for name in ("none", "blur_jpg_0.1"):
        tables = [pq.read_table(folder / name / "scores.parquet") for folder in (swept, reference)]
        assert tables[0].equals(tables[1])
        assert tables[0].num_rows == 14
    assert (swept / "results.md").read_text() == (reference / "results.md").read_text()
    kept = (swept / "none" / "best.ckpt").stat().st_mtime_ns
    (swept / "blur_jpg_0.1" / "metrics.json").unlink()
    augmentation(run, sets, tmp_path, launcher)
    assert (swept / "none" / "best.ckpt").stat().st_mtime_ns == kept
    assert (swept / "blur_jpg_0.1" / "metrics.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [ray, submitit])
def test_a_job_has_several_gpus(launcher: list[str], run: Run, tmp_path: Path) -> None:
    shared = ["+hydra.launcher.ray.init.num_gpus=4", "+hydra.launcher.ray.remote.num_gpus=2"]
    several = shared if launcher is RAY else ["hydra.launcher.gpus_per_node=2"]
    words = [*CHORE, "task.run=chores.describe", "seed=1,2", *launcher, *several]
    result = run(*words, f"hydra.sweep.dir={tmp_path}/sweep", cwd=tmp_path, **CHORES)
    assert result.returncode == 0, result.stderr
    seen = [file.read_text().split()[1] for file in sorted(tmp_path.glob("sweep/*/done"))]
    assert sorted(seen) == (["0,1", "2,3"] if launcher is RAY else ["0,1", "0,1"])


@pytest.mark.parametrize("sweeping", [False, True], ids=["run", "sweep"])
def test_two_at_once_in_a_folder_are_refused(sweeping: bool, run: Run, tmp_path: Path) -> None:
    place = tmp_path / "out" / ".jobs" if sweeping else tmp_path / "out"
    place.mkdir(parents=True)
    words = [*(["-m"] if sweeping else []), "task=test", "task.run=chores.describe", "seed=1"]
    words += [f"hydra.{'sweep' if sweeping else 'run'}.dir={tmp_path}/out"]
    with folders.alone(place):
        result = run(*words, cwd=tmp_path, **CHORES)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("genspot: another ")
    assert f"at work in {tmp_path}/out; wait for it" in line
    assert not list(tmp_path.rglob("done"))
    assert run(*words, cwd=tmp_path, **CHORES).returncode == 0


def test_only_the_first_process_of_a_run_locks_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with folders.alone(tmp_path):
        for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
            monkeypatch.setenv(name, "1")
            with folders.alone(tmp_path):
                pass
            monkeypatch.setenv(name, "0")
            with pytest.raises(GenspotError, match="another run"), folders.alone(tmp_path):
                pass


SLURM = {"SLURM_JOB_ID": "17"}
ARRAY = {"SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "3"}


@pytest.mark.parametrize(
    ("env", "start"),
    [
        (SLURM | {"SLURM_JOB_NAME": "genspot"}, "slurm-17-"),
        (SLURM | ARRAY, "slurm-16_3-"),
        (SLURM | {"TORCHELASTIC_RUN_ID": "mine", "WORLD_SIZE": "2"}, "slurm-17-"),
        ({"TORCHELASTIC_RUN_ID": "mine", "WORLD_SIZE": "2"}, "torchrun-mine-"),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, "20"),
        ({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"}, "20"),
        ({}, "20"),
    ],
)
def test_a_folders_name_is_that_of_the_job(
    env: dict[str, str], start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stamp(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["run.py", *words])
        return folders.stamp.__wrapped__()

    for name in [*SLURM, *ARRAY, "SLURM_JOB_NAME", "TORCHELASTIC_RUN_ID", "WORLD_SIZE"]:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert stamp("seed=1").startswith(start)
    assert stamp("seed=1") != stamp("seed=2")
    assert (stamp("seed=1") == stamp("seed=1")) == (start != "20")


def test_processes_without_a_common_name_are_told_to_give_one(run: Run, tmp_path: Path) -> None:
    env = {"WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none", "SLURM_JOB_NAME": "bash"}
    result = run("task=report", f"paths.runs={tmp_path}/runs", cwd=tmp_path, **env)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("genspot: the processes of this run know no common name")
    assert "--rdzv-id=NAME, or hydra.run.dir=PATH" in line
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DictConfig:
    """Job 3 of a sweep, in the process of a launcher."""
    folder = tmp_path / "sweep" / "3"
    (tmp_path / "sweep" / ".jobs").mkdir(parents=True)
    told = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=sweep", "+hydra.launcher.ray.init.num_cpus=2"]
    told += ["hydra/launcher=joblib", "hydra.searchpath=[file://mine]", "hydra.verbose=true"]
    overrides = {"task": ["task=test"], "hydra": told}
    sources = [{"provider": "main", "path": "conf"}, {"provider": "command-line", "path": "own"}]
    runtime = {"output_dir": str(folder), "config_sources": sources}
    cfg = {"job": {"num": 3}, "runtime": runtime, "overrides": overrides}
    cfg |= {"sweep": {"dir": str(folder.parent)}}
    monkeypatch.setattr(sweeps.HydraConfig, "get", lambda: OmegaConf.create(cfg))
    return OmegaConf.create({"task": {"name": "test"}})


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What is run in the place of run.py."""
    (tmp_path / "program.py").write_text(text)
    monkeypatch.setattr(sweeps, "RUN", tmp_path / "program.py")


@pytest.mark.parametrize("executor", ["slurm", "local"])
def test_a_job_that_slurm_ends_is_left_to_slurm(
    executor: str, job: DictConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a result, submitit asks SLURM what became of the job: it may be requeued."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", executor)
    program(tmp_path, monkeypatch, "raise SystemExit(143)")
    if executor == "slurm":
        with pytest.raises(SystemExit) as stopped:
            sweeps.isolate(job)
        assert stopped.value.code == 143
    else:
        sweeps.isolate(job)
    assert (tmp_path / "sweep" / ".jobs" / "3.failed").exists() == (executor == "local")


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_single_task_of_slurm_is_not_told(
    tasks: int, job: DictConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lightning would refuse it several devices; several tasks it must know of."""
    for name in ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.setenv(name, str(tasks))
    text = "import os; raise SystemExit(5 + sum(name in os.environ for name in "
    program(tmp_path, monkeypatch, text + "('SLURM_NTASKS', 'SLURM_NTASKS_PER_NODE')))")
    sweeps.isolate(job)
    line = (tmp_path / "sweep" / ".jobs" / "3.failed").read_text()
    assert line.startswith(f"job 3 failed with exit code {5 if tasks == 1 else 7}: ")


def test_a_job_is_told_of_its_users_configs(
    job: DictConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And of all else that is Hydra's, but not to be a sweep itself."""
    program(tmp_path, monkeypatch, "import sys; open('told', 'w').write(chr(10).join(sys.argv))")
    monkeypatch.chdir(tmp_path)
    sweeps.isolate(job)
    told = (tmp_path / "told").read_text().splitlines()[1:]
    words = ["hydra.searchpath=[file://mine]", "hydra.verbose=true", "task=test", "hydra.mode=RUN"]
    assert told == ["--config-dir", "own", *words, f'hydra.run.dir="{tmp_path}/sweep/3"']
