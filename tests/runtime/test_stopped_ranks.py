"""Runs of two processes that are stopped, or lose one of them. Slow: several runs each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from helpers.cli_runner import CliRunner
from helpers.fault_injection import (
    PYTHONPATH,
    signal_in_test,
    signal_in_training,
    start_training,
)
from helpers.runs import assert_same_training
from helpers.settings import RESNET, tiny

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143}


@pytest.mark.slow
def test_two_ranks_stop_together_and_resume_to_the_same_bits(
    run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    overrides = [*tiny(sets), *RESNET, "trainer=ddp_cpu"]
    whole = run(*overrides, f"hydra.run.dir={tmp_path}/whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    overrides += [f"hydra.run.dir={tmp_path}/run"]
    overrides += signal_in_training("SIGTERM", epoch=1, batch=1, folder=tmp_path)
    slow = "{_target_: helpers.fault_injection.SlowToFinalize, save_dir: '${paths.output}'}"
    overrides += [f"+logger.logger.slow={slow}"]
    first = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert first.returncode == 143, first.stderr
    assert "Traceback" not in first.stderr
    # The other rank ended long before: Lightning kills the first if it ends with an error.
    assert (tmp_path / "run" / "finalized").exists()
    again = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert again.returncode == 0, again.stderr
    assert_same_training(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_two_ranks_killed_at_random_moments_end_with_the_same_bits(
    number: signal.Signals, run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    """As schedulers do it: the signal goes to all processes of the run."""
    overrides = [*tiny(sets), *RESNET, "trainer=ddp_cpu"]
    whole = run(*overrides, f"hydra.run.dir={tmp_path}/whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    rng, kills = random.Random(int(number)), 0
    while True:
        process = start_training([*overrides, f"hydra.run.dir={tmp_path}/run"], tmp_path)
        if kills < 4:
            time.sleep(rng.uniform(1, 5))
            others = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True)
            for pid in (process.pid, *map(int, others.stdout.split())):
                if process.poll() is None:
                    os.kill(pid, number)
            kills += 1
        output, _ = process.communicate(timeout=300)
        if process.returncode == 0:
            break
        # Lightning kills the first rank if another one is stopped before it has joined.
        assert process.returncode in (-signal.SIGKILL, 128 + number), output
    assert_same_training(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signal_to_the_first_rank_in_a_test_ends_all_ranks(
    name: str, run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    overrides = [*tiny(sets), "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}/run"]
    overrides += signal_in_test("train", name, tmp_path)
    result = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert result.returncode == EXIT_CODES[name], result.stderr
    assert f"genspot: stopped by {name}; to continue: " in result.stderr
    find = ["pgrep", "-f", f"hydra.run.dir={tmp_path}/run"]
    end = time.monotonic() + 20
    while subprocess.run(find, capture_output=True).stdout:
        assert time.monotonic() < end, "a rank is still there"
        time.sleep(0.2)


@pytest.mark.slow
def test_rank_that_is_killed_leaves_one_line(sets: Path, tmp_path: Path) -> None:
    overrides = [*tiny(sets), *RESNET, "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}/run"]
    first = start_training([*overrides, "schedule.max_epochs=50"], tmp_path)
    end = time.monotonic() + 60
    while not (tmp_path / "run" / "last.ckpt").exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    (other,) = subprocess.check_output(["pgrep", "-P", str(first.pid)], text=True).split()
    os.kill(int(other), signal.SIGKILL)
    output, _ = first.communicate(timeout=60)
    # Lightning kills the first rank if it notices before gloo does.
    assert first.returncode in (1, -signal.SIGKILL)
    assert "Traceback" not in output
    assert first.returncode < 0 or "genspot: another process of this run was lost" in output
