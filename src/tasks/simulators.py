"""Train the weights of the simulated generators that genspot ships."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.data.simulated.train import train_simulators
from genspot.tasks.generators import generator_specs


def simulators(cfg: DictConfig) -> None:
    """Train on the photographs in `task.photos`; see `genspot.data.simulated.train`.

    Raises:
        GenspotError: a generator is not simulated, or there are no photographs.
    """
    specs = generator_specs(cfg)
    for name, spec in specs.items():
        if "upsampling" not in (spec["simulator"] or {}):
            raise GenspotError(f"{name} is not simulated; give generator=[sim_nearest, …]")
    simulators = {name: spec["simulator"] for name, spec in specs.items()}
    task = cfg.task
    train_simulators(simulators, Path(task.photos), Path(task.output), task.steps, task.seed)
