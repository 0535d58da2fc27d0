"""The jobs of a sweep as processes of their own, whichever launcher starts them.

What the jobs, in other processes or on other machines, have to tell the sweep or to be told lies
in `.jobs/` of its folder: a line for each job that failed, and the file `stop`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from genspot.runtime.run_folder import finished
from genspot.runtime.shutdown import PARENT
from genspot.common.errors import GenspotError
from genspot.runtime.lock import alone, first

RUN = Path(__file__).resolve().parents[2] / "run.py"
PATIENCE_S = 600  # told to stop, a training ends its step and saves, perhaps to a slow disk
TERMINATED = 128 + signal.SIGTERM
ENDINGS = [
    signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
]


@dataclass
class Sweep:
    """A sweep, in the process that the user started."""

    folder: Path
    held_by_slurm: bool  # its jobs, which need no sweep to go on
    lock: contextlib.ExitStack
    code: int = 0  # to exit with, once it has been told to stop

    def stop(self, number: int, _: FrameType | None) -> None:
        """Have the jobs end in order, as the handler of a signal; a second one ends at once.

        The jobs still end in order then: each is told by its own process or, where that is gone,
        by its absence (`genspot.runtime.shutdown`). Were an exception raised here, joblib would kill its
        processes and all below them.
        """
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_DFL)
        self.code = 128 + number
        if self.held_by_slurm:
            self.exit_if_told()
        _stop(self.folder).touch()

    def exit_if_told(self) -> None:
        if self.code:
            name = signal.Signals(self.code - 128).name
            sys.stderr.write(
                f"genspot: sweep stopped by {name}; the same command, into {self.folder}, goes on "
                "with the jobs that have no results\n"
            )
            sys.exit(self.code)

    def failures(self) -> list[str]:
        notes = _notes(self.folder).glob("*.failed")
        return [note.read_text("utf-8") for note in sorted(notes, key=lambda one: int(one.stem))]


CURRENT: list[Sweep] = []


class Begin(Callback):
    """Hydra's word that a sweep begins; of its end, Hydra says nothing if a launcher failed."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir).absolute()
        _notes(folder).mkdir(parents=True, exist_ok=True)
        lock = contextlib.ExitStack()
        try:
            lock.enter_context(alone(_notes(folder)))
        except GenspotError:
            # Of any other exception, Hydra would make a warning.
            sys.exit(
                f"genspot: another sweep is at work in {folder}; wait for it, or name another "
                "folder: hydra.sweep.dir=PATH"
            )
        for stale in (_stop(folder), *_notes(folder).glob("*.failed")):
            stale.unlink(missing_ok=True)
        launcher = config.hydra.launcher
        if launcher._target_.endswith(".RayLauncher"):
            _start_ray(launcher.ray.init)
        sweep = Sweep(folder, launcher._target_.endswith(".SlurmLauncher"), lock)
        CURRENT.append(sweep)
        for ending in ENDINGS:
            if signal.getsignal(ending) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(ending, sweep.stop)


def end_sweep(lost: Exception | None = None) -> None:
    """Report on all jobs that have results; then say which have none. Nothing without a sweep.

    Args:
        lost: why the launcher gave up.

    Raises:
        GenspotError: jobs failed, or were lost.
        SystemExit: the sweep was told to stop.
    """
    for sweep in CURRENT:
        sweep.exit_if_told()
        if any(sweep.folder.glob("*/metrics.json")):
            words = ["task=report", f"runs=['{sweep.folder}']", "hydra.mode=RUN"]
            words += [f"hydra.run.dir='{sweep.folder}'"]
            subprocess.run([sys.executable, str(RUN), *words], check=False)
            sweep.exit_if_told()
        failed = sweep.failures()
        if lost:
            failed.append(f"the launcher lost jobs: {' '.join(str(lost).split())}")
        if failed:
            raise GenspotError("; ".join(failed)) from lost


def isolate(cfg: DictConfig) -> None:
    """Run this job of a sweep as a plain run in a process of its own; finished ones not again.

    In the sweep's process, a strategy that starts this script again on every device would start
    the whole sweep again; and what one job leaves behind would reach the next.
    """
    job = HydraConfig.get()
    folder, sweep = Path(job.runtime.output_dir), Path(job.sweep.dir).absolute()
    if _stop(sweep).exists():
        return
    if cfg.task.name == "train" and finished(folder, cfg):
        print(f"job {job.job.num} is already done: {folder}")
        return
    _leave_signals_to_the_sweep()
    command = [sys.executable, str(RUN), *_of_hydra_itself(job), *job.overrides.task]
    command += ["hydra.mode=RUN", f'hydra.run.dir="{folder}"']
    code = _outcome(command, _stop(sweep))
    if code in (TERMINATED, -signal.SIGTERM) and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        # SLURM takes the job away. To return would mean to submitit that it is done; so the
        # sweep asks SLURM, which says whether it was cancelled or waits to be run again.
        sys.exit(TERMINATED)
    if code and first() and not _stop(sweep).exists():
        line = f"job {job.job.num} failed with exit code {code}: {folder}"
        (_notes(sweep) / f"{job.job.num}.failed").write_text(line, encoding="utf-8")


def _of_hydra_itself(job: HydraConf) -> list[str]:
    """What the sweep was told of Hydra's own settings, but for what makes it a sweep.

    Without `hydra.searchpath` or `--config-dir`, a job would not find its user's configs.
    """
    sources = job.runtime.config_sources
    folders = [source.path for source in sources if source.provider == "command-line"]
    changed = r"[+~]*hydra[./](mode|run|sweep|sweeper|launcher)\b"
    kept = [word for word in job.overrides.hydra if not re.match(changed, word)]
    return [*(word for folder in folders for word in ("--config-dir", folder)), *kept]


def ignore_requests_to_requeue() -> None:
    """In a job of submitit's, keep SIGUSR1 and SIGUSR2 from ending this process.

    SLURM sends them to all processes of a job, but it is for submitit's to answer: that one
    requeues, and then `isolate` tells this one to stop. They are ignored, not handled, for what
    is ignored stays so in the programs that this one starts.
    """
    if "SUBMITIT_EXECUTOR" in os.environ:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)


def _start_ray(settings: DictConfig) -> None:
    """Start Ray, as its launcher would later: then, it takes the handler of SIGTERM for itself."""
    import ray  # an extra, and slow to import

    memory = {"object_store_memory": 75 * 2**20}  # the least that Ray takes: little is sent
    chosen: Any = OmegaConf.to_container(OmegaConf.merge(memory, settings), resolve=True)
    ray.init(**chosen)


def _notes(sweep: Path) -> Path:
    return sweep / ".jobs"


def _stop(sweep: Path) -> Path:
    return _notes(sweep) / "stop"


def _leave_signals_to_the_sweep() -> None:
    """In a worker of joblib's, which a terminal's Ctrl-C reaches as well: live on.

    If one dies, joblib kills all. This takes a handler, for what is ignored stays so in the job.
    """
    if multiprocessing.current_process().name != "MainProcess":
        for ending in ENDINGS:
            signal.signal(ending, lambda *_: None)


def _outcome(command: Sequence[str], stop: Path) -> int:
    """The exit code of `command`, which is told to end when the file `stop` appears."""
    # In a group of its own, a terminal's Ctrl-C does not reach it: it would end a training before
    # that is told, and can save itself.
    child = subprocess.Popen(command, env=_environment(), process_group=0)
    try:
        while not stop.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(1)
        return _ended(child)
    except BaseException:  # submitit raises SystemExit here when the job is preempted
        _ended(child)
        raise


def _ended(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    try:
        return child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _environment() -> dict[str, str]:
    """The job's: it names this process, with which the job ends. Of SLURM's tasks, a single one
    is not told.

    Lightning takes a task for a device, and would refuse the several devices of one task.
    """
    tasks = ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE")
    hidden = tasks if os.environ.get("SLURM_NTASKS") == "1" else ()
    told = {name: value for name, value in os.environ.items() if name not in hidden}
    return told | {PARENT: str(os.getpid())}
