"""Jobs of an optimising sweep that take no time: `task.run=helpers.objective_jobs.…`."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from omegaconf import DictConfig


def score_seed(cfg: DictConfig) -> None:
    """Leave metrics.json with ap/mean = seed / 10; fail on seed 3, leave no figure on seed 4."""
    if cfg.seed == 3:
        sys.exit(5)
    ap = None if cfg.seed == 4 else cfg.seed / 10
    text = json.dumps({"generators": {}, "mean": {"ap": ap}, "validation": None})
    (Path(cfg.paths.output) / "metrics.json").write_text(text)


def wait(cfg: DictConfig) -> None:
    """Last until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (Path(cfg.paths.output) / "began").write_text("x")
    time.sleep(120)
