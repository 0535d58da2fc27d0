"""The command line: `genspot …`, or `python run.py …` in a checkout."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # main() formats errors

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from genspot.common.ranks import is_rank_zero
from genspot.common.run_files import NOT_FINITE
from genspot.common.text import PrintableRecord, prepare_streams, printable
from genspot.runtime.forced_end import end_at_second_signal, end_within_limit
from genspot.runtime.run_folder import (
    can_continue,
    has_started,
    lock_run_folder,
    remove_worthless_folders,
)
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS, ShutdownRequested, handle_signals
from genspot.tasks import error_messages, sweep_jobs
from genspot.tasks.commands import how_to_continue
from genspot.tasks.composition import find_task, prepare_arguments, register_studies
from genspot.tasks.home import expand_home
from genspot.tasks.paths import CONF
from genspot.tasks.stopping import SHUTDOWN

CONTINUE_ELSEWHERE = ("download", "pack", "harmonize")  # tasks: not in the folder of the run


def exit_during_imports(number: int, _: object) -> NoReturn:
    """End the process without the traceback of an interrupted import."""
    request = ShutdownRequested(number)
    remove_worthless_folders()
    if is_rank_zero():
        with suppress(OSError):  # a closed terminal
            os.write(2, f"genspot: {request}; nothing was started\n".encode())
    os._exit(request.exit_code)


def prepare_signals() -> None:
    """Set the handlers that apply until the task is imported."""
    handle_signals(exit_during_imports)
    if "SUBMITIT_EXECUTOR" in os.environ:
        # SLURM sends them to all processes of a job, but submitit's own process answers them: it
        # requeues the job, and stops this one with SIGTERM.
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def run(cfg: DictConfig) -> float | None:
    """Run the task of the composed configuration, or start the job of a sweep."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        expand_home(cfg)
        return sweep_jobs.run_job_in_subprocess(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with lock_run_folder(folder):
            if cfg.get("quiet") or not sys.stderr.isatty():
                # tqdm reads it when it is imported, which the check does for tables of images.
                os.environ["TQDM_DISABLE"] = "1"
            check_settings(cfg)
            task = load_task(cfg)
            SHUTDOWN.install()
            end_at_second_signal(SHUTDOWN_SIGNALS)
            task(cfg)
            sys.stdout.flush()  # what it cannot write is an error of this run
    except ShutdownRequested as request:
        report_stop(request, folder, cfg.task.name)
        end_within_limit(request.exit_code)
        sys.exit(request.exit_code)
    except Exception as error:
        exit_with_error(describe(error, folder), folder)  # here: Hydra would add lines of its own
    return None


def describe(error: Exception, folder: Path) -> Exception:
    """Return `error` in words of the user's.

    Raises:
        Exception: `error` itself, if it is a fault of the program; after a line that says how the
            run in `folder` can be continued, if it can.
    """
    try:
        if isinstance(error, error_messages.USER_ERRORS):
            return error
        if isinstance(error, OSError):
            return error_messages.describe_os_error(error, folder)
        if isinstance(error, RuntimeError):
            return error_messages.describe_peer_loss(error)
        raise error
    except Exception:
        if command := continuing_command(folder):
            print_line(f"to continue: {command}")
        raise


def continuing_command(folder: Path) -> str:
    """Return the command that continues the run in `folder` after an error, "" if none does."""
    same_end = (folder / NOT_FINITE).is_file()  # of the same weights on the same images
    if same_end or not (has_started(folder) and can_continue(folder)):
        return ""
    return how_to_continue("hydra.run.dir", folder)


def check_settings(cfg: DictConfig) -> None:
    """Check all settings; see `genspot.tasks.config.check_settings`."""
    from genspot.tasks.config import check_settings as check  # slow: --help does without it

    check(cfg)


def load_task(cfg: DictConfig) -> Callable[[DictConfig], object]:
    """Import the task, with PyTorch and all else that it needs.

    The half a million objects of these imports live to the end. The garbage collector skips
    them, which saves a fifth of the imports' time, and seconds when the process ends.
    """
    gc.disable()
    try:
        return find_task(cfg)
    finally:
        gc.freeze()
        gc.enable()


def report_stop(request: ShutdownRequested, folder: Path, task: str) -> None:
    """Print one line, on the first process: which signal, and the command that continues."""
    if not is_rank_zero():
        return
    command = how_to_continue("hydra.run.dir", folder)
    if can_continue(folder) or task in CONTINUE_ELSEWHERE:
        print_line(f"{request}; to continue: {command}")
    elif folder.exists():
        print_line(f"{request}; nothing to continue from was left; to start again: {command}")
    else:
        print_line(f"{request}; no results were left; data and weights stay")


def exit_with_error(error: BaseException, folder: Path | None = None) -> NoReturn:
    """End with one line, or with the traceback where GENSPOT_TRACEBACK is set.

    Args:
        error: see `error_messages.format_error`.
        folder: of the run, if there is one. If the run can be continued, the line says how.
    """
    if os.environ.get("GENSPOT_TRACEBACK"):
        raise error
    line = error_messages.format_error(error)
    if folder and (command := continuing_command(folder)):
        line += f"; to continue: {command}"
    print_line(line)
    sys.exit(getattr(error, "exit_code", 1))


def print_line(line: str) -> None:
    """Print one line on the terminal, below open progress bars, and into the log of a run."""
    line = printable(line)
    if "tqdm" in sys.modules and sys.stderr.isatty():  # an open bar ends without a new line
        print(file=sys.stderr)
    print(f"genspot: {line}", file=sys.stderr, flush=True)
    record = logging.LogRecord("genspot", logging.ERROR, __file__, 0, line, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            with suppress(OSError):  # a full disk
                handler.handle(record)


def run_sweep_or_job() -> Exception | None:
    """Run, and return what a sweep's launcher raised: jobs may have ended well all the same."""
    try:
        run()
    except Exception as error:
        if isinstance(error, error_messages.USER_ERRORS) or not sweep_jobs.current_sweep:
            raise
        return error
    return None


def main() -> NoReturn:
    """Run the command line and exit.

    Exit codes: 0; 1 after an error; 2 of Hydra for arguments that it cannot parse; 3 where an
    audit found something decisive, or a photo is an alarm; 128 + n after signal n.
    """
    prepare_signals()
    prepare_streams()
    logging.setLogRecordFactory(PrintableRecord)
    register_studies()
    try:
        sys.argv[1:] = prepare_arguments(sys.argv[1:])
        sweep_jobs.finish_sweep(run_sweep_or_job())
    except error_messages.USER_ERRORS as error:
        exit_with_error(error)
    except (OSError, ValueError) as error:
        exit_with_error(error_messages.describe_start_error(error))
    except ShutdownRequested as request:  # between two lines of run()
        sys.exit(request.exit_code)
    finally:
        if sweep_jobs.current_sweep:
            sweep_jobs.current_sweep.remove_if_worthless()
    sys.exit(0)


if __name__ == "__main__":
    # Launchers unpickle functions of this module, which must have the same name there.
    from genspot.tasks.main import main as main_of_module

    main_of_module()
