"""Whole runs that are killed, stopped, or meet a full disk. Most are slow: several runs each."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from genspot.detector.safe_load import find_corruption
from genspot.tasks.commands import quoted
from helpers.cli_runner import CliRunner
from helpers.fault_injection import (
    PYTHONPATH,
    signal_in_test,
    signal_in_training,
    start_training,
)
from helpers.runs import assert_same_training
from helpers.settings import RESNET, ROOT, SEARCH_PATH, tiny
from helpers.tasks import run_task

KILLS = 5  # of each kind of training
EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143}
STEPS_PER_EPOCH = 4  # of the tiny training


@pytest.fixture(scope="module")
def resnet(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training whose steps take long enough to be interrupted from outside."""
    return run_task(*tiny(sets), *RESNET, folder=tmp_path_factory.mktemp("resnet") / "run")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGKILL", -9)])
def test_interrupted_training_resumes_to_the_same_bits(
    name: str, code: int, run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    overrides = [*tiny(sets), f"hydra.run.dir={tmp_path}/run"]
    overrides += signal_in_training(name, epoch=1, batch=1, folder=tmp_path)
    first = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert first.returncode == code, first.stderr
    assert "Traceback" not in first.stderr
    last = tmp_path / "run" / "last.ckpt"
    steps = torch.load(last, weights_only=True)["global_step"]
    assert steps == STEPS_PER_EPOCH + (0 if name == "SIGKILL" else 2)
    if name != "SIGKILL":
        line = f"stopped by {name}; to continue: {sys.executable} {ROOT}/run.py"
        assert line in first.stderr
        assert line in (tmp_path / "run" / "genspot.log").read_text()
    if name == "SIGTERM":  # and a disk damages the last checkpoint
        shutil.copy(last, tmp_path / "run" / "previous.ckpt")
        last.write_bytes(last.read_bytes()[:-1000])
    again = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert again.returncode == 0, again.stderr
    assert ("last.ckpt is damaged" in again.stdout) == (name == "SIGTERM")
    assert "resuming from" in again.stdout
    assert_same_training(tmp_path / "run", trained)
    assert not list((tmp_path / "run").glob("*.partial"))


def test_printed_command_continues_in_a_shell(
    run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    """The folder has a date in its name, and its path what shells and Hydra treat specially."""
    place = f'{tmp_path}/it\'s "#1" ü $HOME'
    overrides = [*tiny(sets), f"paths.runs={quoted(Path(place))}"]
    overrides += signal_in_training("SIGTERM", epoch=1, batch=1, folder=tmp_path)
    first = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    (line,) = [line for line in first.stderr.splitlines() if line.startswith("genspot: ")]
    command = line.partition("; to continue: ")[2]
    env = os.environ | {"PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"}
    again = subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True)
    assert again.returncode == 0, again.stderr
    assert b"resuming from" in again.stdout
    (folder,) = Path(place).iterdir()
    assert_same_training(folder, trained)


@pytest.mark.parametrize("phase", ["setup", "test"])
def test_training_stopped_outside_of_its_steps_resumes_to_the_same_bits(
    phase: str, run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    overrides = [*tiny(sets), f"hydra.run.dir={tmp_path}/run"]
    if phase == "setup":
        overrides += signal_in_training("SIGTERM", epoch=-1, batch=0, folder=tmp_path)
    else:
        overrides += signal_in_test("train", "SIGTERM", tmp_path)
    first = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert first.returncode == 143, first.stderr
    assert "Traceback" not in first.stderr
    if phase == "setup":
        assert first.stderr.splitlines()[-1] == (
            "genspot: stopped by SIGTERM; no results were left; data and weights stay"
        )
        assert not (tmp_path / "run").exists()
    else:
        assert "stopped by SIGTERM; to continue: " in first.stderr
        assert (tmp_path / "run" / "last.ckpt").exists()
    again = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert again.returncode == 0, again.stderr
    assert_same_training(tmp_path / "run", trained)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_prediction_stopped_in_its_first_batch_says_that_nothing_was_left(
    name: str, run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    overrides = [*signal_in_test("predict", name, tmp_path), f"inputs={sets}/train"]
    overrides += [f"checkpoint={trained}/best.ckpt", SEARCH_PATH, "trainer=cpu", "workers=0"]
    result = run(*overrides, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert result.returncode == EXIT_CODES[name], result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("genspot: ")]
    assert line == f"genspot: stopped by {name}; no results were left; data and weights stay"
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_training_killed_at_random_moments_ends_with_the_same_bits(
    number: signal.Signals, workers: int, sets: Path, resnet: Path, tmp_path: Path
) -> None:
    """Kills fall in steps, validation, checkpoints, the test and the report."""
    overrides = [*tiny(sets), *RESNET, f"workers={workers}", f"hydra.run.dir={tmp_path}/run"]
    rng, kills = random.Random(workers), 0
    while True:
        process = start_training(overrides, tmp_path)
        if kills < KILLS:
            time.sleep(rng.uniform(0, 4))
            if process.poll() is None:
                process.send_signal(number)
                kills += 1
        output, _ = process.communicate(timeout=300)
        if process.returncode == 0:
            assert_same_training(tmp_path / "run", resnet)
            if kills == KILLS:
                break
            shutil.rmtree(tmp_path / "run")  # it ended before the last kill: once more
        else:
            assert process.returncode in (-number, 128 + number), output
            assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["cpu", "ddp_cpu"])
def test_second_signal_ends_a_training_whose_step_never_ends(
    trainer: str, sets: Path, tmp_path: Path
) -> None:
    overrides = [*tiny(sets), f"trainer={trainer}", "workers=1", f"hydra.run.dir={tmp_path}/run"]
    overrides += ["+callbacks.hang={_target_: helpers.fault_injection.Hang}"]
    process = start_training(overrides, tmp_path)
    assert process.stdout is not None
    assert any("hanging" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    time.sleep(7)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "ended at once by a second signal, SIGTERM" in output
    time.sleep(1)
    find = ["pgrep", "-f", f"hydra.run.dir={tmp_path}/run"]
    assert not subprocess.run(find, capture_output=True).stdout


@pytest.mark.slow
def test_slurms_notice_ends_with_the_code_that_batch_scripts_requeue_on(
    run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    slurm = {
        "SLURM_JOB_ID": "42",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "localhost",
        "PYTHONPATH": PYTHONPATH,
    }
    overrides = [*tiny(sets), f"hydra.run.dir={tmp_path}/run"]
    overrides += signal_in_training("SIGUSR1", epoch=0, batch=2, folder=tmp_path)
    first = run(*overrides, cwd=tmp_path, **slurm)
    assert first.returncode == 138, first.stderr
    assert not list((tmp_path / "run").glob("hpc_ckpt*"))  # Lightning's own requeueing is off
    again = run(*overrides, cwd=tmp_path, **slurm)
    assert again.returncode == 0, again.stderr
    assert_same_training(tmp_path / "run", trained)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk for two and a half checkpoints of a ResNet-18."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_full_disk_ends_with_one_line_and_the_previous_checkpoint(
    run: CliRunner, sets: Path, resnet: Path, tmp_path: Path, small_disk: Path
) -> None:
    overrides = [*tiny(sets), *RESNET, f"hydra.run.dir={small_disk}/run"]
    result = run(*overrides, cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "genspot: " in line]
    assert f"no space left on the disk of {small_disk}" in line
    assert f"make room; to continue: {sys.executable} {ROOT}/run.py" in line
    assert not list((small_disk / "run").glob("*.partial"))
    assert find_corruption(small_disk / "run" / "last.ckpt") is None
    subprocess.run(["mount", "-o", "remount,size=1g", str(small_disk)], check=True)
    again = run(*overrides, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "resuming from" in again.stdout
    assert_same_training(small_disk / "run", resnet)


@pytest.mark.slow
def test_two_runs_started_at_once_share_their_data_and_nothing_else(tmp_path: Path) -> None:
    """Both find no data set, no index and no folder of their own."""
    overrides = ["experiments=mini", "simulation={size: 64, train: 14, val: 4, test: 4}"]
    overrides += ["model.train={resize: null, crop: 32}", "crop=48", "schedule.max_epochs=1"]
    overrides += ["schedule.batch_size=8", "trainer=cpu", "workers=0"]
    overrides += [f"paths.datasets={tmp_path}/datasets", f"paths.runs={tmp_path}/runs"]
    command = [sys.executable, str(ROOT / "run.py"), *overrides]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=-1, stderr=-2, text=True)
        for _ in range(2)
    ]
    for process in both:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    one, other = (tmp_path / "runs").iterdir()
    for name in ("scores.parquet", "metrics.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert not list((tmp_path / "datasets").rglob("*.partial*"))
