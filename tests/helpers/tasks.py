"""Tasks in the process of the test, for tests whose subject is not the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method
from omegaconf import DictConfig, open_dict

from genspot.tasks.main import register_studies
from genspot.tasks.paths import CONF


@contextmanager
def composed(*overrides: str, folder: Path) -> Iterator[DictConfig]:
    """Compose the configuration of a run in `folder`, as the command line does.

    Within the block, tasks can compose again.
    """
    register_studies()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        output = f"hydra.runtime.output_dir='{folder}'"
        cfg = compose("config", [*overrides, output], return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        try:
            yield cfg
        finally:
            HydraConfig.instance().cfg = None


def run_task(*overrides: str, folder: Path) -> Path:
    """Run the task that `overrides` choose in this process, in `folder`, and return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with composed(*overrides, folder=folder) as cfg:
        get_method(cfg.task.run)(cfg)
    return folder
