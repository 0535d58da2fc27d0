"""What the jobs of a sweep do where a training would take too long: `task.run=chores.…`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from omegaconf import DictConfig


def note(cfg: DictConfig, name: str, *words: object) -> None:
    with (Path(cfg.paths.output) / name).open("a", encoding="utf-8") as file:
        print(*words, file=file)


def describe(cfg: DictConfig) -> None:
    """Write down where the job is; fail on seed 13."""
    if cfg.seed == 13:
        os._exit(7)  # as a process that dies
    note(cfg, "done", os.environ["OMP_NUM_THREADS"], os.environ.get("CUDA_VISIBLE_DEVICES"))


def last_until_told(cfg: DictConfig) -> None:
    """As a long training: told to end, it saves, which takes a moment; found again, it ends."""
    if (Path(cfg.paths.output) / "saved").exists():
        return note(cfg, "done", *sys.argv[1:])

    def save(number: int, _: FrameType | None) -> None:
        time.sleep(1)
        note(cfg, "saved", *sys.argv[1:])
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, save)
    note(cfg, "began", os.getpid(), os.getppid(), os.environ.get("OMP_NUM_THREADS"))
    time.sleep(120)
