"""Detectors that score photos: of one checkpoint or of several, each with its own settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.names import NO_PROTOCOL, NO_REFERENCE
from genspot.common.protocols import FAKES, MATCHED, split_condition
from genspot.common.run_files import BEST_CHECKPOINT, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT
from genspot.data.photo_reading import PhotoReading
from genspot.detector.detector_file import DetectorFile
from genspot.detector.exported import ExportedDetector, is_exported
from genspot.detector.metadata import Metadata
from genspot.detector.settings import ModelSettings
from genspot.tasks.default_checkpoint import choose_checkpoint
from genspot.tasks.exported import check_export, open_exported
from genspot.tasks.places import names_weights
from genspot.tasks.schema import plain
from genspot.tasks.training_config import record, resolve_metadata, with_training_config

if TYPE_CHECKING:
    from genspot.detector.checkpoint import Checkpoint
    from genspot.detector.network import DetectorNetwork

OF_A_RUN = {Path(one).stem for one in (BEST_CHECKPOINT, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)}
SHORT_DIGEST = 8  # digits of the digest, in names that would be those of several detectors


@dataclass(frozen=True)
class PhotoDetector:
    """A detector that is ready to score photos.

    Attributes:
        cfg: with the settings of its checkpoint.
        checkpoint: the file.
        model: which it is scored as.
        network: of that model, in evaluation mode; None where the file is exported.
        exported: the exported detector; None where the file is a checkpoint.
        metadata: what it was trained on, and what may be overridden of it.
        name: short, and of no other detector of the run: that of the file, of its run's folder,
            or of published weights.
    """

    cfg: DictConfig
    checkpoint: DetectorFile
    model: ModelSettings
    network: DetectorNetwork | None
    exported: ExportedDetector | None
    metadata: Metadata
    name: str

    @property
    def sha256(self) -> str:
        """The digest of the checkpoint's file, in hexadecimal digits."""
        return self.checkpoint.sha256

    @property
    def crop(self) -> int | None:
        """The side in pixels of the central crop that is scored; None for whole images."""
        return self.model.test.with_crop(self.cfg.crop).crop

    @property
    def protocol(self) -> str:
        """What is done to each photo after it is decoded, in words for a reader."""
        chosen, own = str(self.cfg.protocol), self.checkpoint.metadata.protocol
        condition = split_condition(chosen)[0]
        return f"{chosen}, then {own}" if condition and own != NO_PROTOCOL else chosen

    @property
    def reading(self) -> PhotoReading:
        """How a decoded photo becomes what the network sees."""
        change = None
        if str(self.cfg.protocol) != NO_PROTOCOL:
            from genspot.augment.conditions import parse_test_protocol  # slow

            change = parse_test_protocol(str(self.cfg.protocol), self.metadata.protocol)[0]
        geometry = self.model.test.with_crop(self.cfg.crop)
        limits = self.cfg.max_megapixels, self.cfg.max_whole_megapixels
        return PhotoReading(geometry, change, *limits)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits, float32 of shape N, of `uint8` images N×H×W×3.

        Raises:
            Exception: whatever the network raises, as on images of a size that it does not take.
        """
        if self.exported:
            return self.exported.logits(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        import torch

        assert self.network is not None, "a detector is a network or exported"
        with torch.inference_mode():
            found: np.ndarray = self.network(torch.from_numpy(images)).float().cpu().numpy()
        return found


def load_photo_detectors(cfg: DictConfig) -> list[PhotoDetector]:
    """Return the detectors of `checkpoint=X` or `checkpoint=[a,b,c]`, in that order.

    Where none is named, `cfg` gets the one of `choose_checkpoint`.

    Raises:
        GenspotError: no usable checkpoint, one that is named twice, another number of references
            or calibrations than of checkpoints, or a setting that does not fit one of them.
    """
    condition, steps = split_condition(str(cfg.protocol))
    if condition == FAKES:
        raise GenspotError(
            f"protocol={cfg.protocol}: nobody knows which of the photos are fakes; give "
            f"protocol={MATCHED}_{steps}, or leave it out"
        )
    choose_checkpoint(cfg)
    checkpoints = _several(cfg, "checkpoint")
    count = len(checkpoints)
    chosen = {
        "checkpoint": checkpoints,
        "reference": _one_each(cfg, "reference", "[a.parquet,none,null]", count),
        "calibration": _one_each(cfg, "calibration", "[run_a,run_b,null]", count),
    }
    loaded = [
        _load(cfg if count == 1 else deepcopy(cfg), dict(zip(chosen, values, strict=True)))
        for values in zip(*chosen.values(), strict=True)
    ]
    names = _names([(one.name, one.sha256) for one in loaded], checkpoints)
    return [
        PhotoDetector(**vars(one) | {"name": name})
        for one, name in zip(loaded, names, strict=True)
    ]


def _one_each(cfg: DictConfig, setting: str, example: str, count: int) -> list[Any]:
    """Return the value of a setting for each of `count` detectors.

    Raises:
        GenspotError: it has another number of values, neither none nor a list of one for all.
    """
    values = _several(cfg, setting)
    for_all = values[0] in (None, NO_REFERENCE) or isinstance(plain(cfg, setting), list)
    if len(values) == 1 and for_all:
        return values * count
    if len(values) != count:
        raise GenspotError(
            f"{setting}= names {len(values)} and checkpoint= {count}: give one {setting} for each "
            f"detector, in the same order, {setting}={example}"
        )
    return values


def _several(cfg: DictConfig, setting: str) -> list[Any]:
    value = plain(cfg, setting)
    return value if isinstance(value, list) else [value]


def _load(cfg: DictConfig, chosen: Mapping[str, Any]) -> PhotoDetector:
    """Return the detector of one checkpoint; `cfg` gets the settings `chosen` for it."""
    _choose(cfg, chosen)
    source = _open(cfg)
    file = source.as_file()
    cfg = with_training_config(cfg, file.metadata)
    _choose(cfg, chosen)  # it may have been composed again
    metadata = resolve_metadata(cfg, file)
    model, network, exported = metadata.model, None, None
    if isinstance(source, ExportedDetector):
        exported = source
        check_export(cfg, exported, model)
    else:
        from genspot.tasks.networks import make_fused_network

        network = make_fused_network(cfg, source, model)
    record(cfg, metadata, model.test.with_crop(cfg.crop).crop)
    name = _short_name(str(chosen["checkpoint"]), file.path)
    return PhotoDetector(cfg, file, model, network, exported, metadata, name)


def _open(cfg: DictConfig) -> ExportedDetector | Checkpoint:
    """Return what `cfg.checkpoint` names; PyTorch is imported only for what is not exported."""
    if is_exported(cfg.checkpoint):
        return open_exported(cfg.checkpoint)
    from genspot.tasks.weights_by_name import load_named_checkpoint

    return load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)


def _choose(cfg: DictConfig, chosen: Mapping[str, Any]) -> None:
    for setting, value in chosen.items():
        OmegaConf.update(cfg, setting, value)


def _short_name(named: str, path: Path) -> str:
    """Return a short name of a checkpoint: published, of its run's folder, or of the file."""
    if names_weights(named):
        return named.split("@")[0].rsplit("/", 1)[-1]
    return path.absolute().parent.name if path.stem in OF_A_RUN else path.stem


def _names(found: list[tuple[str, str]], checkpoints: list[str]) -> list[str]:
    """Return a name for each (name, digest), all different.

    Raises:
        GenspotError: two are of the same content.
    """
    digests = [digest for _, digest in found]
    for number, digest in enumerate(digests):
        if (first := digests.index(digest)) < number:
            raise GenspotError(
                f"checkpoint= names the same file twice, {checkpoints[first]} and "
                f"{checkpoints[number]}: give each once"
            )
    counts = Counter(name for name, _ in found)
    return [
        f"{name}-{digest[:SHORT_DIGEST]}" if counts[name] > 1 else name for name, digest in found
    ]
