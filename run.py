#!/usr/bin/env python3
"""Compose the configuration, isolate the jobs of a sweep, and hand over to a task."""

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

ROOT = Path(__file__).resolve().parent


def leave(number: int, _: object) -> NoReturn:
    """The handler of a signal that comes amid the imports below, without their tracebacks."""
    os.write(2, f"genspot: stopped by {signal.Signals(number).name}; nothing was begun\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    for ending in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(ending) is not signal.SIG_IGN:
            signal.signal(ending, leave)
sys.path.insert(0, str(ROOT / "src"))
# The processes of a sweep's launcher find there what they unpickle.
known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [sys.path[0], *known])))
os.environ["GENSPOT_ROOT"] = str(ROOT)
os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come to main(), which words them
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # no call home on import

import hydra  # noqa: E402
from hydra.core.config_store import ConfigStore  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from hydra.types import RunMode  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402

from genspot.detector import signals  # noqa: E402
from genspot.runtime import slurm
from genspot.launch import sweeps  # noqa: E402
from genspot.common.errors import GenspotError  # noqa: E402
from genspot.runtime.lock import LOCK, alone, first  # noqa: E402
from genspot.tasks.error_messages import USERS_ERRORS, of_the_folder, of_the_others, one_line, worded  # noqa: E402


def register_studies() -> None:
    """Make the files of experiments/ choices of the group `experiments`, beside those of conf/."""
    for file in sorted((ROOT / "experiments").glob("*.yaml")):
        ConfigStore.instance().store(
            group="experiments", name=file.stem, node=OmegaConf.load(file), package="_global_"
        )


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def run(cfg: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return sweeps.isolate(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    signals.INBOX.listen(lambda told: say_stopped(told, folder))
    try:
        with alone(folder):
            work(cfg, folder)
        signals.INBOX.over()
    except GenspotError as error:
        give_up(error)
    except signals.Stopped as told:
        say_stopped(told, folder)
        signals.INBOX.wait_for_the_first(signals.SLOW_S)
        sys.exit(told.exit_code)


def work(cfg: DictConfig, folder: Path) -> None:
    try:
        with signals.INBOX.leaving():
            task = imported(cfg.task.run)
        try:
            task(cfg)
        except Exception as error:
            if not isinstance(error, USERS_ERRORS):  # perhaps only that the first process is gone
                signals.INBOX.wait_for_the_first(signals.SOON_S)
            raise
    except USERS_ERRORS as error:
        signals.INBOX.over()
        remove_if_empty(folder)
        give_up(error)  # here, where Hydra does not add lines of its own
    except OSError as error:
        signals.INBOX.over()
        give_up(worded(error, folder))
    except RuntimeError as error:
        signals.INBOX.over()
        give_up(of_the_others(error))


def imported(name: str) -> Callable[[DictConfig], object]:
    """The task `name`, with PyTorch and all else that it imports.

    That leaves half a million objects that live to the end. The garbage collector does not look
    through them, which costs a fifth of the imports' time, and seconds when the process ends.
    """
    gc.disable()
    try:
        return hydra.utils.get_method(name)
    finally:
        gc.freeze()
        gc.enable()


def say_stopped(told: signals.Stopped, folder: Path) -> None:
    """One line of the first process: which signal, and how the run goes on."""
    if not first():
        return
    remove_if_empty(folder)
    left = f"the same command, into {folder}, goes on from what is there"
    if not folder.exists():
        left = "nothing was begun"
    say(f"{told}{slurm.requeue() if told.requeues else ''}; {told.left or left}")


def remove_if_empty(folder: Path) -> None:
    """Leave no folder behind for a run that never began."""
    if not (first() and folder.is_dir()):
        return
    left = list(folder.iterdir())
    empty = ("genspot.log", LOCK)
    if all(file.name in empty and not file.stat().st_size for file in left):
        for file in left:
            file.unlink()
        folder.rmdir()


def give_up(error: BaseException) -> NoReturn:
    """End with one line, or with the traceback where GENSPOT_TRACEBACK is set."""
    if os.environ.get("GENSPOT_TRACEBACK"):
        raise error
    say(one_line(error))
    sys.exit(1)


def say(line: str) -> None:
    """One line on the terminal, below what progress bars left, and in the log of a run."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if getattr(tqdm, "_instances", ()):  # open bars end without a new line
        print(file=sys.stderr)
    print(f"genspot: {line}", file=sys.stderr, flush=True)
    record = logging.LogRecord("genspot", logging.ERROR, __file__, 0, line, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            with suppress(OSError):  # of a disk that is full
                handler.handle(record)


def run_or_lose() -> Exception | None:
    """What went wrong in a sweep's launcher: jobs may have ended well all the same."""
    try:
        run()
    except Exception as error:
        if isinstance(error, USERS_ERRORS) or not sweeps.CURRENT:
            raise
        return error
    return None


def main() -> NoReturn:
    register_studies()
    sweeps.ignore_requests_to_requeue()
    try:
        sweeps.end_sweep(lost=run_or_lose())
    except USERS_ERRORS as error:
        give_up(error)
    except (OSError, ValueError) as error:
        give_up(of_the_folder(error))
    except signals.Stopped as told:  # between two of run's own lines
        sys.exit(told.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
