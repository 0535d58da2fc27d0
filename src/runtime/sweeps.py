"""A sweep and its jobs: the lock, the failures, and the request to stop.

Jobs may run in other processes or on other machines, so all they exchange with the sweep lies in
`.jobs/` of its folder: one file for each failed job, and the file `stop`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from genspot.common.ranks import is_rank_zero
from genspot.runtime.run_folder import lock_run_folder
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS, handle_signals

NOTES = ".jobs"
HYDRA_CONFIG = "multirun.yaml"  # which Hydra writes
SAVE_LIMIT_S = 600  # a stopped training ends its step and saves, perhaps to a slow disk
POLL_S = 1.0


class JobError(Exception):
    """A job has no objective, for a sweeper that cannot do without; the sweep has a note of it."""


class Sweep:
    """A sweep, in the process that the user started.

    Args:
        folder: the sweep's folder.
        jobs_outlive_sweep: jobs of SLURM continue without the sweep, which then stops at once.

    Attributes:
        stop_signal: the signal that stopped the sweep; None before.
    """

    def __init__(self, folder: Path, jobs_outlive_sweep: bool) -> None:
        self.folder, self.jobs_outlive_sweep = folder, jobs_outlive_sweep
        self.stop_signal: signal.Signals | None = None

    def start(self) -> None:
        """Lock the folder until the process ends, remove old notes and handle signals.

        Raises:
            GenspotError: another sweep has locked the folder.
        """
        notes = self.folder / NOTES
        notes.mkdir(parents=True, exist_ok=True)
        self.lock = contextlib.ExitStack()
        self.lock.enter_context(lock_run_folder(notes))
        for stale in (stop_file(self.folder), *notes.glob("*.failed")):
            stale.unlink(missing_ok=True)
        handle_signals(self._request_stop)

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        # No exception here: joblib would kill its processes and the jobs below them.
        self.stop_signal = self.stop_signal or signal.Signals(number)
        if self.jobs_outlive_sweep:
            raise SystemExit(128 + number)
        stop_file(self.folder).touch()

    def remove_if_worthless(self) -> None:
        """Remove the folder if there is nothing of any job in it."""
        if {file.name for file in self.folder.iterdir()} <= {NOTES, HYDRA_CONFIG}:
            shutil.rmtree(self.folder, ignore_errors=True)

    def failures(self) -> list[str]:
        """Return one line for each failed job, in the order of the jobs."""
        notes = (self.folder / NOTES).glob("*.failed")
        return [note.read_text("utf-8") for note in sorted(notes, key=lambda note: int(note.stem))]


def stop_file(sweep_folder: Path) -> Path:
    """Return the file that exists once the sweep is to stop."""
    return sweep_folder / NOTES / "stop"


def run_job(command: Sequence[str], number: int, job_folder: Path, sweep_folder: Path) -> bool:
    """Run job `number` as `command`; a failure is left to the sweep as a note.

    Nothing is run once the sweep is to stop. A running job then gets SIGTERM.

    Returns:
        Whether it ran and ended well.

    Raises:
        SystemExit: SLURM terminates the job. submitit takes a return for its end; without one
            the sweep asks SLURM, which knows whether the job was cancelled or is to run again.
    """
    stop = stop_file(sweep_folder)
    if stop.exists():
        return False
    if multiprocessing.current_process().name != "MainProcess":
        # A terminal's Ctrl-C reaches joblib's processes too, and if one dies joblib kills all.
        # They need a handler: the jobs would inherit an ignored signal.
        for ending in SHUTDOWN_SIGNALS:
            signal.signal(ending, lambda *_: None)
    code = _wait(command, stop)
    terminated = code in (128 + signal.SIGTERM, -signal.SIGTERM)
    if terminated and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        raise SystemExit(code)
    if code and is_rank_zero() and not stop.exists():
        line = f"job {number} failed with exit code {code}: {job_folder}"
        note_failure(sweep_folder, number, line)
    return not code


def note_failure(sweep_folder: Path, number: int, line: str) -> None:
    """Leave `line` on the failure of job `number` to the sweep."""
    (sweep_folder / NOTES / f"{number}.failed").write_text(line, "utf-8")


def _wait(command: Sequence[str], stop: Path) -> int:
    """Return the exit code of `command`, which gets SIGTERM when the file `stop` appears."""
    env = dict(os.environ)
    if env.get("SLURM_NTASKS") == "1":  # Lightning would refuse several devices of one task
        for name in ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"):
            env.pop(name, None)
    # In a process group of its own, which a terminal's Ctrl-C does not reach.
    process = subprocess.Popen(command, env=env, process_group=0)
    try:
        while not stop.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(POLL_S)
    finally:  # also where submitit raises SystemExit because the job is preempted
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SAVE_LIMIT_S)
            process.kill()
    return process.wait()
