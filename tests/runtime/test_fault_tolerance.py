"""What clusters and disks do to whole runs; slow, for each case is several runs."""

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
from test_signals import CODES, told

import conftest
from conftest import RESNET, ROOT, Run, finished
from genspot.detector import safe_load as archives
from test_resume import assert_same_results, signalled

pytestmark = pytest.mark.slow

KILLS = 20


def tiny(folder: Path) -> list[str]:
    return [*conftest.tiny(folder), *RESNET]


@pytest.fixture(scope="module")
def trained(run: Run, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was left alone."""
    return finished(run, tiny(sets), tmp_path_factory.mktemp("alone"))


def begun(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """A run that has come to its training, or found it done; its start is long and harmless."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "training resnet18" in line:
            break
    return process


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_killed_at_random_moments_ends_with_the_same_bits(
    workers: int, sets: Path, trained: Path, tmp_path: Path
) -> None:
    """Ten kills a case, twenty in all, in steps, validation, checkpoints, the test, the report."""
    words = [*tiny(sets), f"workers={workers}", f"hydra.run.dir={tmp_path}/run"]
    draws, kills = random.Random(workers), 0
    while True:
        process = begun(words, tmp_path)
        if kills < KILLS // 2:
            time.sleep(draws.uniform(0, 4))
            if process.poll() is None:
                process.kill()
                kills += 1
        output, _ = process.communicate(timeout=300)
        if process.returncode == 0:
            assert_same_results(tmp_path / "run", trained)
            if kills == KILLS // 2:
                break
            shutil.rmtree(tmp_path / "run")  # it came to its end before the tenth: once more
        else:
            assert process.returncode == -signal.SIGKILL, output


def test_two_ranks_stop_together_and_go_on(run: Run, sets: Path, tmp_path: Path) -> None:
    words = [*tiny(sets), "workers=0", "trainer=ddp_cpu"]
    whole = run(*words, f"hydra.run.dir={tmp_path}/whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    words += [f"hydra.run.dir={tmp_path}/run"]
    words += signalled("SIGTERM", epoch=1, batch=1, folder=tmp_path)
    first = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert first.returncode == 143, first.stderr
    again = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert again.returncode == 0, again.stderr
    assert_same_results(tmp_path / "run", tmp_path / "whole")


def test_the_first_rank_has_time_to_close_its_loggers(
    run: Run, sets: Path, tmp_path: Path
) -> None:
    words = [*tiny(sets), "workers=0", "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}/run"]
    words += signalled("SIGTERM", epoch=0, batch=1, folder=tmp_path)
    slow = "{_target_: signals.SlowToClose, save_dir: '${paths.output}', name: slow}"
    words += [f"+logger.logger.slow={slow}"]
    result = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert result.returncode == 143, result.stderr
    assert (tmp_path / "run" / "closed").exists()


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_rank_that_is_told_in_a_test_ends_them_all(
    name: str, rank: int, run: Run, sets: Path, tmp_path: Path
) -> None:
    words = [*tiny(sets), "workers=0", "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}/run"]
    words += told("train", name, tmp_path, rank)
    result = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert result.returncode == (143 if rank else CODES[name]), result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("genspot: ")]
    assert line.startswith(f"genspot: stopped by {'SIGTERM' if rank else name}; the same command")
    find = ["pgrep", "-f", f"hydra.run.dir={tmp_path}/run"]
    end = time.monotonic() + 20
    while subprocess.run(find, capture_output=True).stdout:
        assert time.monotonic() < end, "a rank lives on"
        time.sleep(0.2)
    again = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert again.returncode == 0, again.stderr


def test_a_rank_that_is_killed_leaves_one_line(sets: Path, tmp_path: Path) -> None:
    words = [*tiny(sets), "workers=0", "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}/run"]
    first = begun([*words, "schedule.max_epochs=50"], tmp_path)
    end = time.monotonic() + 60
    while not (tmp_path / "run" / "last.ckpt").exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    (other,) = subprocess.check_output(["pgrep", "-P", str(first.pid)], text=True).split()
    os.kill(int(other), signal.SIGKILL)
    output, _ = first.communicate(timeout=60)
    # Lightning kills the first where it notices before gloo does.
    assert first.returncode in (1, -signal.SIGKILL)
    assert "Traceback" not in output
    assert first.returncode < 0 or "genspot: another process of this run was lost" in output


def test_slurms_notice_requeues_and_the_job_goes_on(
    run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    fake = tmp_path / "bin" / "scontrol"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    fake.chmod(0o755)
    slurm = {
        "SLURM_JOB_ID": "42",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "localhost",
        "PATH": os.pathsep.join([str(fake.parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    words = [*tiny(sets), "workers=0", f"hydra.run.dir={tmp_path}/run"]
    words += signalled("SIGUSR1", epoch=0, batch=2, folder=tmp_path)
    first = run(*words, cwd=tmp_path, **slurm)
    assert first.returncode == 143, first.stderr
    assert "job 42 is requeued" in first.stderr
    assert (tmp_path / "asked").read_text() == "requeue 42\n"
    again = run(*words, cwd=tmp_path, **slurm)
    assert again.returncode == 0, again.stderr
    assert_same_results(tmp_path / "run", trained)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk for two checkpoints and a half of the tiny runs'."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_with_one_line_and_the_checkpoint_before(
    run: Run, sets: Path, trained: Path, tmp_path: Path, small_disk: Path
) -> None:
    words = [*tiny(sets), "workers=0", f"hydra.run.dir={small_disk}/run"]
    result = run(*words, cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "genspot: " in line]
    assert f"no space left on the disk of {small_disk}" in line
    assert not list((small_disk / "run").glob("*.partial"))
    assert archives.damage(small_disk / "run" / "last.ckpt") is None
    subprocess.run(["mount", "-o", "remount,size=1g", str(small_disk)], check=True)
    again = run(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "going on from" in again.stdout
    assert_same_results(small_disk / "run", trained)


def test_two_runs_begun_at_once_share_their_data_and_nothing_else(tmp_path: Path) -> None:
    """Both find no data set, no index and no folder of their own."""
    words = ["experiments=mini", "simulation={size: 64, train: 14, val: 4, test: 4}"]
    words += ["preprocess.crop=32", "crop=48", "schedule.max_epochs=1", "schedule.batch_size=8"]
    words += ["trainer=cpu", "workers=0", f"paths.datasets={tmp_path}/datasets"]
    command = [sys.executable, str(ROOT / "run.py"), *words, f"paths.runs={tmp_path}/runs"]
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
