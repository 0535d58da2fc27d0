"""Tasks for the jobs of a sweep that take seconds: `task.run=helpers.sweep_jobs.…`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from omegaconf import DictConfig


def append_line(cfg: DictConfig, name: str, *words: object) -> None:
    """Append `words` to the file `name` in the job's folder."""
    with (Path(cfg.paths.output) / name).open("a", encoding="utf-8") as file:
        print(*words, file=file)


def finish(cfg: DictConfig) -> None:
    """Leave the file `done`; die on seed 13."""
    if cfg.seed == 13:
        os._exit(7)
    append_line(cfg, "done")


def hang(cfg: DictConfig) -> None:
    """Do not end at SIGTERM, as a training whose step never ends."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    append_line(cfg, "began", os.getpid())
    while True:
        time.sleep(60)


def run_until_stopped(cfg: DictConfig) -> None:
    """Last like a long training: save for a moment at SIGTERM, and end at once when resumed."""
    if (Path(cfg.paths.output) / "saved").exists():
        return append_line(cfg, "done", *sys.argv[1:])

    def save(number: int, _: FrameType | None) -> None:
        time.sleep(1)
        append_line(cfg, "saved", *sys.argv[1:])
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, save)
    append_line(cfg, "began", os.getpid(), os.getppid(), os.environ.get("OMP_NUM_THREADS"))
    time.sleep(120)
    return None
