"""Copy the training and validation images, decoded, into a few large files."""

from __future__ import annotations

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.data.packed.writer import pack as pack_folder
from genspot.tasks import config
from genspot.tasks.components import make_datamodule


def pack(cfg: DictConfig) -> None:
    """Pack the training and validation sets of `data`; see `genspot.data.packed.writer`.

    Raises:
        GenspotError: a folder is not named, cannot be listed, or the disk has no room.
    """
    source = config.training_set(cfg)
    if not (source.train and source.val):
        raise GenspotError(f"data={cfg.data.name} needs data.train=PATH and data.val=PATH")
    make_datamodule(cfg, config.model_settings(cfg), testing=False).prepare_data()
    for folder in (source.train, source.val):
        pack_folder(folder, source.name, source.classes, config.loading(cfg).max_megapixels)
