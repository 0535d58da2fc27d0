"""Runs from Python: each has its own folder and log, and leaves the process as it was."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pytorch_lightning.utilities.seed import isolate_rng

from genspot.common.errors import GenspotError
from genspot.common.text import open_closed_streams
from genspot.runtime.run_folder import LOG, lock_run_folder
from genspot.tasks import error_messages
from genspot.tasks.composition import composed, find_task
from genspot.tasks.config import check_settings
from genspot.tasks.stopping import SHUTDOWN

LOG_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"  # Hydra's

_running = threading.Lock()  # Hydra's state, loggers and random states are those of the process


def run(*overrides: str, config_dir: str | Path | None = None) -> Path:
    """Run a task as the command line does, and return the folder of the run.

    Several runs in one process, one after the other as in a notebook, have folders and logs of
    their own. A run computes in this process, on one device. Afterwards logging, warnings, signal
    handlers, random states, environment variables, Hydra and PyTorch's precision are as they were
    before.

    Args:
        overrides: as on the command line: "experiments=quickstart", "seed=1",
            "hydra.run.dir=PATH" for the folder.
        config_dir: a folder of your own with further choices, as `--config-dir`.

    Raises:
        GenspotError: a setting, the data or the machine does not allow it, or another run is at
            work in this process; in one line.
        OSError: the system refused to read or write; with what to do.
        ShutdownRequested: a signal ended the run, as Ctrl-C does.

    Example:
        >>> folder = genspot.run("experiments=quickstart", "seed=1")  # doctest: +SKIP
        >>> genspot.evaluate(folder)["mean"]["ap"]  # doctest: +SKIP
    """
    if not all(isinstance(override, str) for override in overrides):
        raise GenspotError('run: give the overrides as texts, run("seed=1", "data=simulated")')
    folder = None
    try:
        with (
            _alone(),
            _command_line(overrides),
            composed(*overrides, config_dir=config_dir) as cfg,
        ):
            _check_mode(cfg)
            check_settings(cfg)
            folder = _make_folder(cfg.paths.output)
            with (
                lock_run_folder(folder),
                _preserved_state(),
                _log_to(folder),
                SHUTDOWN.installed(),
            ):
                find_task(cfg)(cfg)
    except GenspotError:
        raise
    except error_messages.USER_ERRORS as error:
        raise GenspotError(error_messages.format_error(error)) from error
    except OSError as error:
        raise error_messages.describe_os_error(error, folder) from error
    except ValueError as error:
        raise error_messages.describe_start_error(error) from error
    return folder


def _check_mode(cfg: DictConfig) -> None:
    """Raise GenspotError for a sweep, or for several processes: these start further commands."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise GenspotError(
            "these settings are a sweep: start it on the command line, or call run for each job"
        )
    if (cfg.trainer.devices, cfg.trainer.num_nodes) != (1, 1):
        raise GenspotError(
            f"trainer={cfg.trainer.name} with trainer.devices={cfg.trainer.devices} needs several "
            "processes: start it on the command line, or give trainer.devices=1 and "
            "trainer.num_nodes=1"
        )


def _make_folder(path: str) -> Path:
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise error_messages.describe_start_error(error) from error
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Raise GenspotError if another block is entered already, in any thread."""
    if not _running.acquire(blocking=False):
        raise GenspotError(
            "another run is at work in this process: wait for it, or start this one in a process "
            "of its own"
        )
    try:
        yield
    finally:
        _running.release()


@contextmanager
def _command_line(overrides: tuple[str, ...]) -> Iterator[None]:
    """Make `overrides` the arguments of the process, which name a run within a job of SLURM."""
    arguments = sys.argv
    sys.argv = [arguments[0] if arguments else "", *overrides]
    try:
        yield
    finally:
        sys.argv = arguments


@contextmanager
def _log_to(folder: Path) -> Iterator[None]:
    """Write the log of the block into `folder`, and show it where no logging is set up."""
    root, own = logging.getLogger(), logging.getLogger("genspot")
    handlers: list[logging.Handler] = [logging.FileHandler(folder / LOG)]
    if not root.handlers:
        handlers.append(logging.StreamHandler(sys.stdout))
    level = own.level
    own.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        root.addHandler(handler)
    try:
        yield
    finally:
        own.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


@contextmanager
def _preserved_state() -> Iterator[None]:
    """Restore after the block what a run changes for the whole process."""
    environment = dict(os.environ)
    streams = sys.stdin, sys.stdout, sys.stderr
    open_closed_streams()
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning")]
    levels = [logger.level for logger in loggers]
    raise_exceptions = logging.raiseExceptions
    precision = torch.get_float32_matmul_precision()
    tf32, benchmark = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    random_states = ExitStack()  # `isolate_rng` restores none when an error passes through it
    random_states.enter_context(isolate_rng())
    try:
        with warnings.catch_warnings():
            yield
    finally:
        random_states.close()
        sys.stdin, sys.stdout, sys.stderr = streams
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = tf32, benchmark
        logging.raiseExceptions = raise_exceptions
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
