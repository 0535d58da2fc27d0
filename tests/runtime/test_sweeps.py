"""A sweep's folder, and how one of its jobs is run."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS
from genspot.runtime.sweeps import Sweep, run_job, stop_file


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    """A sweep that has started; the handlers before it are restored."""
    before = {number: signal.getsignal(number) for number in SHUTDOWN_SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background processes
    sweep = Sweep(tmp_path, jobs_outlive_sweep=False)
    sweep.start()
    yield sweep
    sweep.lock.close()
    for number, old in before.items():
        signal.signal(number, old)


def run_python(program: str, sweep: Sweep, number: int = 3) -> None:
    command = [sys.executable, "-c", program]
    run_job(command, number, sweep.folder / f"job{number}", sweep.folder)


def test_failed_jobs_are_listed_in_order_and_forgotten_by_the_next_sweep(sweep: Sweep) -> None:
    run_python("raise SystemExit(7)", sweep, number=10)
    run_python("pass", sweep, number=5)
    run_python("import os; os.kill(os.getpid(), 9)", sweep, number=2)
    assert sweep.failures() == [
        f"job 2 failed with exit code -9: {sweep.folder}/job2",
        f"job 10 failed with exit code 7: {sweep.folder}/job10",
    ]
    sweep.lock.close()
    sweep.start()
    assert sweep.failures() == []


@pytest.mark.parametrize("left", ["", "0_test", "report.html"])
def test_folder_of_a_sweep_is_removed_if_no_job_left_anything(left: str, sweep: Sweep) -> None:
    (sweep.folder / "multirun.yaml").touch()
    if left:
        (sweep.folder / left).mkdir()
    sweep.remove_if_worthless()
    assert sweep.folder.exists() == bool(left)


def test_two_sweeps_in_a_folder_are_refused(sweep: Sweep) -> None:
    with pytest.raises(GenspotError, match="another run is at work"):
        Sweep(sweep.folder, jobs_outlive_sweep=False).start()


def long_job(folder: Path) -> str:
    """Return a program that runs for a minute, and at SIGTERM saves for a moment and ends."""
    return (
        "import signal, sys, time\n"
        "def save(*_):\n"
        "    time.sleep(0.5)\n"
        f"    open('{folder}/saved', 'w')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "time.sleep(60)\n"
    )


def send_later(number: signal.Signals, *delays: float) -> None:
    for delay in delays:
        threading.Timer(delay, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_stopped_sweep_lets_its_job_save_and_starts_no_other(
    name: str, sweep: Sweep, tmp_path: Path
) -> None:
    send_later(getattr(signal, name), 0.5)
    began = time.monotonic()
    run_python(long_job(tmp_path), sweep)
    assert time.monotonic() - began < 30
    assert sweep.stop_signal == getattr(signal, name)
    assert stop_file(tmp_path).exists()
    assert (tmp_path / "saved").exists()
    run_python(f"open('{tmp_path}/other', 'w')", sweep)
    assert not (tmp_path / "other").exists()
    assert sweep.failures() == []


def test_sweep_that_gets_its_signal_twice_lets_its_job_save(sweep: Sweep, tmp_path: Path) -> None:
    send_later(signal.SIGINT, 0.5, 0.7)
    run_python(long_job(tmp_path), sweep)
    assert sweep.stop_signal == signal.SIGINT
    assert (tmp_path / "saved").exists()


def test_sweep_of_jobs_that_slurm_holds_ends_at_once(sweep: Sweep) -> None:
    sweep.jobs_outlive_sweep = True
    with pytest.raises(SystemExit) as stopped:
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 143
    assert not stop_file(sweep.folder).exists()


@pytest.mark.parametrize("executor", ["slurm", "local"])
def test_job_that_slurm_terminates_gives_no_result(
    executor: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBMITIT_EXECUTOR", executor)
    if executor == "slurm":
        with pytest.raises(SystemExit):
            run_python("raise SystemExit(143)", sweep)
    else:
        run_python("raise SystemExit(143)", sweep)
    assert bool(sweep.failures()) == (executor == "local")


@pytest.mark.parametrize("tasks", ["1", "2"])
def test_single_task_of_slurm_is_hidden_from_the_job(
    tasks: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE")
    for name in names:
        monkeypatch.setenv(name, tasks)
    run_python(f"import os; raise SystemExit(5 + sum(n in os.environ for n in {names}))", sweep)
    (line,) = sweep.failures()
    assert f"exit code {5 if tasks == '1' else 7}:" in line
