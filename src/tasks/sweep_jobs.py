"""The jobs of a sweep as processes of their own, with any launcher of Hydra's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.run_files import METRICS
from genspot.runtime.forced_end import end_at_second_signal, end_within_limit
from genspot.runtime.run_folder import load_if_complete
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS
from genspot.runtime.sweeps import JobError, Sweep, note_failure, run_job
from genspot.tasks.commands import how_to_continue, quoted
from genspot.tasks.overrides import parse_overrides

COMMAND = [sys.executable, "-m", "genspot.tasks.main"]
# What makes a command a sweep; below these nothing is passed on to a job.
SWEEP_SETTINGS = ("hydra.mode", "hydra.run", "hydra.sweep", "hydra.sweeper", "hydra.launcher")

current_sweep: Sweep | None = None  # Hydra makes the callback, and hands nothing back


class SweepCallback(Callback):
    """Starts a `Sweep`. Hydra does not call back at its end if a launcher failed."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        global current_sweep
        _check_sweeper(config)
        folder = Path(config.hydra.sweep.dir).absolute()
        launcher = config.hydra.launcher._target_
        sweep = Sweep(folder, jobs_outlive_sweep=launcher.endswith(".SlurmLauncher"))
        try:
            sweep.start()
        except GenspotError:
            # Hydra makes a warning of any Exception raised here.
            sys.exit(
                f"genspot: another sweep is at work in {folder}; wait for it, or name another "
                "folder: hydra.sweep.dir=PATH"
            )
        if not sweep.jobs_outlive_sweep:
            end_at_second_signal(SHUTDOWN_SIGNALS)
        current_sweep = sweep


def _check_sweeper(config: DictConfig) -> None:
    """Exit with one line where a sweeper would look for the worst value, or for none."""
    if not _optimises(config.hydra.sweeper._target_):
        return
    from genspot.tasks import objective  # slow: --help does without it

    direction = config.hydra.sweeper.get("direction", "minimize")
    try:
        objective.check_direction(config.objective, direction)
        objective.check_objective(config)
    except GenspotError as error:  # of which Hydra would make a warning
        sys.exit(f"genspot: {error}")


def _optimises(sweeper: str) -> bool:
    """Return whether a sweeper chooses the next jobs by the objectives of those before."""
    return not sweeper.endswith(".BasicSweeper")


def run_job_in_subprocess(cfg: DictConfig) -> float | None:
    """Run this job of a sweep as a plain run in a process and a folder of its own.

    In the sweep's process, a strategy that starts the command again for each device would start
    the whole sweep again, and what one job changes in the process would reach the next.

    Returns:
        Its objective, where the sweeper needs one.

    Raises:
        JobError: it has none, and the sweeper needs one.
        SystemExit: a signal has stopped a sweeper that would start further jobs.
    """
    from genspot.tasks import objective  # slow: --help does without it

    job = HydraConfig.get()
    folder, sweep_folder = Path(job.runtime.output_dir), Path(job.sweep.dir).absolute()
    optimises = _optimises(job.sweeper._target_)
    if cfg.task.name == "train" and _is_complete(cfg, folder):
        print(f"job {job.job.num} is complete: {folder}")  # a test depends on its checkpoint too
        return objective.read_objective(cfg.objective, folder) if optimises else None
    command = [*COMMAND, *_hydra_arguments(job), *job.overrides.task]
    command += ["hydra.mode=RUN", f"hydra.run.dir={quoted(folder)}"]
    ended_well = run_job(command, job.job.num, folder, sweep_folder)
    if not optimises:
        return None
    if current_sweep:  # in the sweeper's own process, which would go on to the next jobs
        _exit_if_stopped(current_sweep)
    if not ended_well:
        raise JobError(f"job {job.job.num} has no objective")
    try:
        return objective.read_objective(cfg.objective, folder)
    except GenspotError as error:
        note_failure(sweep_folder, job.job.num, f"job {job.job.num}: {error}")
        raise JobError(str(error)) from error


def _is_complete(cfg: DictConfig, folder: Path) -> bool:
    """Return whether `folder` holds a complete run of this job."""
    from genspot.tasks.config import check_settings, config_text  # slow: --help does without it

    try:
        check_settings(cfg)  # which adds the sets of `test_sets`
        return load_if_complete(folder, config_text(cfg), cfg.resume) is not None
    except GenspotError:
        return False  # the job says it in a line of its own


def finish_sweep(launcher_error: Exception | None = None) -> None:
    """Report on all jobs with results, then name the failed ones; nothing without a sweep.

    Args:
        launcher_error: what the launcher raised, if anything; jobs may have finished all the same.

    Raises:
        GenspotError: jobs failed, or `launcher_error`.
        SystemExit: a signal stopped the sweep.
    """
    if (sweep := current_sweep) is None:
        return
    _exit_if_stopped(sweep)
    failures = sweep.failures()
    if any(sweep.folder.glob(f"*/{METRICS}")):
        folder = quoted(sweep.folder)
        settings = ["task=report", f"runs=[{folder}]", "hydra.mode=RUN", f"hydra.run.dir={folder}"]
        report = subprocess.run([*COMMAND, *settings], check=False)
        _exit_if_stopped(sweep)
        if report.returncode:
            failures.append(f"the report on {sweep.folder} failed; its own line says why")
    if launcher_error and not isinstance(launcher_error, JobError):
        reason = " ".join(str(launcher_error).split())
        failures.append(f"the sweep's launcher or sweeper failed: {reason}")
    if failures:
        raise GenspotError("; ".join(failures)) from launcher_error


def _exit_if_stopped(sweep: Sweep) -> None:
    if number := sweep.stop_signal:
        command = how_to_continue("hydra.sweep.dir", sweep.folder)
        sys.stderr.write(f"genspot: sweep stopped by {number.name}; to continue: {command}\n")
        end_within_limit(128 + number)
        sys.exit(128 + number)


def _hydra_arguments(job: HydraConf) -> list[str]:
    """Return the sweep's --config-dir and overrides of hydra.*, except what makes it a sweep."""
    arguments = []
    for source in job.runtime.config_sources:
        if source.provider == "command-line":
            arguments += ["--config-dir", source.path]
    for override in parse_overrides(list(job.overrides.hydra)):
        key = override.key_or_group.replace("/", ".")
        if not any(key == name or key.startswith(f"{name}.") for name in SWEEP_SETTINGS):
            arguments.append(str(override.input_line))
    return arguments
