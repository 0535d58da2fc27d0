"""Features of a frozen encoder: computed once, kept, and handed over in place of images."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from omegaconf import DictConfig
from torch.utils.data import Dataset

from genspot.common.containers import file_status
from genspot.common.errors import GenspotError
from genspot.common.protocols import without_condition
from genspot.data import image_io
from genspot.data.datamodule import ImageDataModule
from genspot.data.dataset import ImageDataset
from genspot.data.loaders import read_in_order
from genspot.data.settings import Use
from genspot.detector.feature_store import FeatureStore
from genspot.detector.frozen import FrozenBackbone
from genspot.detector.inputs.fitted import FittedInput
from genspot.detector.network import DetectorNetwork
from genspot.detector.precision import exact_float32
from genspot.detector.settings import ENCODER_WEIGHTS, ModelSettings
from genspot.tasks.components import make_trainer
from genspot.tasks.schema import plain

log = logging.getLogger(__name__)

VERSION = 1  # of what features depend on, beside what `_about` says
# Kept features do not follow the seed of a run: other seeds train on the same ones.
SEED = EPOCH = 0
NAMES: dict[Use, str] = {
    "train": "training images",
    "val": "validation images",
    "calibration": "validation images as tests see theirs",
    "test": "test images",
}


class KeptFeatures:
    """Rows of a table to their features, and to whether the images were padded.

    Attributes:
        unreadable: row → reason, of images that have no features.
    """

    def __init__(self, store: FeatureStore, keys: list[bytes]) -> None:
        self.store, self.keys = store, keys
        self.unreadable: dict[int, str] = {}

    def __call__(self, row: int) -> tuple[np.ndarray, bool]:
        """Return the features of the image of `row`, and whether it was padded.

        Raises:
            UnreadableError: the image could not be read.
        """
        if row in self.unreadable:
            raise image_io.UnreadableError(self.unreadable[row])
        return self.store.get(self.keys[row])


def keep_features(
    cfg: DictConfig,
    model: ModelSettings,
    network: DetectorNetwork,
    datamodule: ImageDataModule,
    own_protocol: str,
    uses: Sequence[Use],
) -> None:
    """Let `datamodule` hand over features in place of images, where the encoder is frozen.

    Those that are not kept yet are computed, by the network and in float32.

    Args:
        cfg: with `keep_features` and the folder `paths.features`.
        model: the settings of `network`.
        network: on the CPU, where it is again afterwards.
        datamodule: with the tables of the images.
        own_protocol: of the training.
        uses: of the images.

    Raises:
        GenspotError: the disk has no room for them; or the input representation has statistics.
    """
    backbone = network.backbone
    if not (cfg.keep_features and isinstance(backbone, FrozenBackbone)):
        return
    if model.input is None or model.backbone is None:
        log.info("features are not kept: a part of the model is built by a _target_ of its own")
        return
    if isinstance(network.input, FittedInput):
        raise GenspotError(
            "features cannot be kept before the statistics of model.input are fitted: give "
            "keep_features=false"
        )
    for use in uses:
        dataset = datamodule.dataset(use)
        about = _about(cfg, model, backbone, dataset, own_protocol, use)
        store = FeatureStore(Path(cfg.paths.features), about, backbone.feature_shape)
        kept = KeptFeatures(store, _keys(dataset.table))
        with store.lock():
            store.refresh()
            try:
                _compute(cfg, network, datamodule, dataset, kept, use)
            except BaseException:
                log.info("what was computed is kept in %s", store.folder)
                raise
        datamodule.features[use] = kept
    if "train" in uses:
        log.info(
            "each epoch trains on the same augmented copy of an image, whose features are kept; "
            "keep_features=false augments and computes again in each epoch"
        )


def _about(
    cfg: DictConfig,
    model: ModelSettings,
    backbone: FrozenBackbone,
    dataset: ImageDataset,
    own_protocol: str,
    use: Use,
) -> dict[str, Any]:
    """Return what the features depend on besides the images' files."""
    assert model.backbone is not None, "features of other backbones are not kept"
    # The encoder's digest stands for its weights, wherever their file lies.
    without_effect = (ENCODER_WEIGHTS, *backbone.head_settings)
    own = {key: value for key, value in model.backbone.items() if key not in without_effect}
    augmentation = None
    if dataset.augment is not None:
        augmentation = plain(cfg, "degradations" if use == "test" else f"aug.{use}")
    protocol = without_condition(str(cfg.protocol), own_protocol)
    return {
        "version": VERSION,
        "backbone": own,
        "encoder": bytes(backbone.encoder.digest.tolist()).hex(),
        "input": model.input,
        "geometry": dataset.geometry.as_dict(),
        "random_crop_and_flip": dataset.flip if dataset.train else None,
        "augmentation": augmentation,
        "protocol": f"{cfg.protocol} of {own_protocol}" if use == "test" else protocol,
        "max_megapixels": dataset.max_megapixels,
    }


def _keys(table: pa.Table) -> list[bytes]:
    """Return the keys of the images of a table: of path, size, time of the last change and label.

    A protocol may treat fakes otherwise than real images.
    """
    keys = []
    for path, label in zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True):
        try:
            status = file_status(path)
            stamp = [status.st_size, status.st_mtime_ns]
        except (OSError, UnicodeEncodeError):  # of a packed image, whose file may be gone
            stamp = []
        text = json.dumps([os.path.abspath(path), stamp, label])
        keys.append(hashlib.sha256(text.encode()).digest())
    return keys


def _random_stream(path: str) -> int:
    """Return the number, below 2^64, of the random stream of an image.

    It follows from the file's name and the two folders above it: it is the same in each table, and
    where the images have moved.
    """
    name = "/".join(Path(path).parts[-3:]).encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big")


class _Rendered(Dataset[Any]):
    """(row, pixels, padded, reason) of some rows; pixels are None where an image is unreadable."""

    def __init__(self, dataset: ImageDataset, rows: Collection[int]) -> None:
        self.dataset, self.rows = dataset, list(rows)
        self.dataset.seed = SEED

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, np.ndarray | None, bool, str]:
        row = self.rows[index]
        stream = _random_stream(self.dataset.paths[row].as_py())
        try:
            pixels, padded = self.dataset.render(row, EPOCH, stream)
        except GenspotError:
            raise
        except Exception as error:  # a broken file can raise nearly anything
            return row, None, False, image_io.describe_error(error)
        return row, np.ascontiguousarray(pixels), padded, ""


def _compute(
    cfg: DictConfig,
    network: DetectorNetwork,
    datamodule: ImageDataModule,
    dataset: ImageDataset,
    kept: KeptFeatures,
    use: Use,
) -> None:
    """Compute the features that are not in the store; note which images are unreadable."""
    store = kept.store
    missing = {key: row for row, key in enumerate(kept.keys) if key not in store}
    total, size = len(kept.keys), len(missing) * store.record_bytes
    log.info(
        "features of %d %s: %d kept already, %d to compute (%.3f GB) in %s",
        *(total, NAMES[use], total - len(missing), len(missing), size / 1e9, store.folder),
    )
    if not missing:
        return
    free = shutil.disk_usage(store.folder).free
    if size > 0.99 * free:
        raise GenspotError(
            f"{store.folder} needs {size / 1e9:.1f} GB for features and the disk has "
            f"{free / 1e9:.1f} GB free; make room, name another disk (paths.features), or keep "
            "none (keep_features=false)"
        )
    exact_float32()
    device = make_trainer(cfg, "32-true").strategy.root_device
    network.eval().to(device)
    loading = datamodule.loading
    batches = read_in_order(
        _Rendered(dataset, missing.values()),
        loading.workers,
        f"features of {NAMES[use]}",
        loading.eval_batch_size if dataset.geometry.fixed_size else 1,
    )
    reasons: dict[bytes, str] = {}
    for batch in batches:
        reasons |= {
            kept.keys[row]: why for row, pixels, _, why in batch["items"] if pixels is None
        }
        readable = [item for item in batch["items"] if item[1] is not None]
        if readable:
            rows, pixels, padded, _ = zip(*readable, strict=True)
            with torch.inference_mode():
                images = torch.from_numpy(np.stack(pixels)).to(device)
                features = network.features(images).cpu().numpy()
            store.append([kept.keys[row] for row in rows], features, padded)
    network.cpu()
    kept.unreadable = {row: reasons[key] for row, key in enumerate(kept.keys) if key in reasons}
