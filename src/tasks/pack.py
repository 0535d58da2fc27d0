"""Copy the training and validation images, decoded, into a few large files."""

from __future__ import annotations

import os
from dataclasses import replace

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.data.packed.reader import require_folder
from genspot.data.packed.sources import packed_folder
from genspot.data.packed.writer import pack as pack_folder
from genspot.data.sources import require_images
from genspot.tasks import config
from genspot.tasks.components import make_datamodule


def pack(cfg: DictConfig) -> None:
    """Pack the training and validation sets of `data`; see `genspot.data.packed.writer`.

    Raises:
        GenspotError: a folder is not named, is missing, cannot be listed, or the disk has no room.
    """
    source = config.training_set(cfg)
    if source.parts:
        raise GenspotError(f"data={cfg.data.name} cannot be packed: name one set, data=folder")
    if not (source.train and source.val):
        raise GenspotError(f"data={cfg.data.name} needs data.train=PATH and data.val=PATH")
    folders = [require_folder(place, source.name) for place in (source.train, source.val)]
    make_datamodule(cfg, config.model_settings(cfg), testing=False).prepare_data()
    if not any(packed_folder(os.path.abspath(folder)).is_dir() for folder in folders):
        require_images(replace(source, format="files"), ())
    limit = config.loading(cfg).max_megapixels
    for folder in folders:
        pack_folder(folder, source.name, source.classes, limit, source.labels)
