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
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask a server on import

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from genspot.common.ranks import is_rank_zero
from genspot.runtime.run_folder import LOCK, lock_run_folder, run_id
from genspot.runtime.shutdown import ShutdownRequested
from genspot.tasks import error_messages, sweep_jobs
from genspot.tasks.paths import CONF, EXPERIMENTS
from genspot.tasks.stopping import SHUTDOWN

# The values are kept in the configuration: all jobs of a sweep have the folder of its start.
OmegaConf.register_new_resolver("run_id", run_id, use_cache=True, replace=True)
OmegaConf.register_new_resolver("cwd", os.getcwd, use_cache=True, replace=True)


def exit_during_imports(number: int, _: object) -> NoReturn:
    """End the process without the traceback of an interrupted import."""
    line = f"genspot: stopped by {signal.Signals(number).name}; nothing was started\n"
    os.write(2, line.encode())
    os._exit(128 + number)


def prepare_signals() -> None:
    """Set the handlers that apply until the task is imported."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, exit_during_imports)
    if "SUBMITIT_EXECUTOR" in os.environ:
        # SLURM sends them to all processes of a job, but submitit's own process answers them: it
        # requeues the job, and stops this one with SIGTERM.
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)


def register_studies() -> None:
    """Make the files of experiments/ choices of the group `experiments`, beside those of conf/."""
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        ConfigStore.instance().store(
            group="experiments", name=file.stem, node=OmegaConf.load(file), package="_global_"
        )


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def run(cfg: DictConfig) -> None:
    """Run the task of the composed configuration, or start the job of a sweep."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return sweep_jobs.run_job_in_subprocess(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with lock_run_folder(folder):
            task = load_task(cfg.task.run)
            SHUTDOWN.install()
            task(cfg)
    except ShutdownRequested as request:
        report_stop(request, folder)
        sys.exit(request.exit_code)
    except error_messages.USER_ERRORS as error:
        remove_if_empty(folder)
        exit_with_error(error)  # here, where Hydra does not add lines of its own
    except OSError as error:
        exit_with_error(error_messages.describe_os_error(error, folder))
    except RuntimeError as error:
        exit_with_error(error_messages.describe_peer_loss(error))


def load_task(name: str) -> Callable[[DictConfig], object]:
    """Import the task `name`, with PyTorch and all else that it needs.

    The half a million objects of these imports live to the end. The garbage collector skips
    them, which saves a fifth of the imports' time, and seconds when the process ends.
    """
    gc.disable()
    try:
        return hydra.utils.get_method(name)
    finally:
        gc.freeze()
        gc.enable()


def report_stop(request: ShutdownRequested, folder: Path) -> None:
    """Print one line, on the first process: which signal, and how the run continues."""
    if not is_rank_zero():
        return
    remove_if_empty(folder)
    rest = f"the same command, into {folder}, continues from what is there"
    print_line(f"{request}; {rest if folder.exists() else 'nothing was started'}")


def remove_if_empty(folder: Path) -> None:
    """Remove the folder of a run that left nothing but an empty log and its lock."""
    if not (is_rank_zero() and folder.is_dir()):
        return
    files = list(folder.iterdir())
    if all(file.name in ("genspot.log", LOCK) and not file.stat().st_size for file in files):
        for file in files:
            file.unlink()
        folder.rmdir()


def exit_with_error(error: BaseException) -> NoReturn:
    """End with one line, or with the traceback where GENSPOT_TRACEBACK is set."""
    if os.environ.get("GENSPOT_TRACEBACK"):
        raise error
    print_line(error_messages.format_error(error))
    sys.exit(1)


def print_line(line: str) -> None:
    """Print one line on the terminal, below open progress bars, and into the log of a run."""
    if "tqdm" in sys.modules:  # an open bar ends without a new line
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
    """Run the command line and exit: 0, 1 after an error, 128 + n after signal n."""
    prepare_signals()
    register_studies()
    try:
        sweep_jobs.finish_sweep(run_sweep_or_job())
    except error_messages.USER_ERRORS as error:
        exit_with_error(error)
    except (OSError, ValueError) as error:
        exit_with_error(error_messages.describe_folder_error(error))
    except ShutdownRequested as request:  # between two lines of run()
        sys.exit(request.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    # Launchers unpickle functions of this module, which must have the same name there.
    from genspot.tasks.main import main as main_of_module

    main_of_module()
