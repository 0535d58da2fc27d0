"""Tasks in the process of the test, for tests whose subject is not the command line."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from omegaconf import DictConfig

import genspot
from genspot.tasks import composition
from genspot.tasks.commands import quoted


def composed(*overrides: str, folder: Path) -> AbstractContextManager[DictConfig]:
    """Compose the configuration of a run in `folder`, as the command line does.

    Within the block, tasks can compose again.
    """
    return composition.composed(*overrides, f"hydra.run.dir={quoted(folder)}")


def run_task(*overrides: str, folder: Path) -> Path:
    """Run the task that `overrides` choose in this process, in `folder`, and return `folder`."""
    return genspot.run(*overrides, f"hydra.run.dir={quoted(folder)}")
