"""The sets of images that a task without a detector reads: task=audit and task=harmonize."""

from __future__ import annotations

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.data.datamodule import ImageDataModule
from genspot.tasks import config
from genspot.tasks.components import make_datamodule
from genspot.tasks.overrides import command_line_overrides, overridden_keys


def chosen_sets(cfg: DictConfig) -> ImageDataModule:
    """Return the data module with the tables of the chosen test sets.

    And of the training and validation set, where `data=` or `data.*` is on the command line.

    Raises:
        GenspotError: nothing is chosen, or it is not there.
    """
    keys = overridden_keys(command_line_overrides())
    training = any(key == "data" or key.startswith("data.") for key in keys)
    testing = bool(config.test_sets(cfg))
    if not (training or testing):
        raise GenspotError(
            "nothing is chosen: give generator=[…] or test_sets={NAME: PATH}, or data=… for its "
            "training and validation images"
        )
    if training and cfg.data.get("format") == "packed":
        raise GenspotError(
            f"data.format=packed: task={cfg.task.name} reads image files, format=files"
        )
    model = config.model_settings(cfg)
    datamodule = make_datamodule(cfg, model, "all" if training else "none", testing)
    datamodule.prepare_data()
    for stage in ["fit"] * training + ["test"] * testing:
        datamodule.setup(stage)
    return datamodule
