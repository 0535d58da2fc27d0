"""Detectors that score photos: of one checkpoint or of several, each with its own settings."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.names import NO_PROTOCOL
from genspot.common.protocols import split_condition
from genspot.common.run_files import BEST_CHECKPOINT, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT
from genspot.data.photo_reading import PhotoReading
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork
from genspot.detector.settings import ModelSettings
from genspot.runtime.content import describe_file
from genspot.tasks.exported import load_scoring_checkpoint, scoring_network
from genspot.tasks.places import names_weights
from genspot.tasks.schema import plain
from genspot.tasks.training_config import record, resolve_metadata, with_training_config

OF_A_RUN = {Path(one).stem for one in (BEST_CHECKPOINT, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)}
SHORT_DIGEST = 8  # digits of the digest, in names that would be those of several detectors


@dataclass(frozen=True)
class PhotoDetector:
    """A detector that is ready to score photos.

    Attributes:
        cfg: with the settings of its checkpoint.
        checkpoint: with the weights.
        model: which it is scored as.
        network: of that model, in evaluation mode.
        metadata: what it was trained on, and what may be overridden of it.
        name: short, and of no other detector of the run: that of the file, of its run's folder,
            or of published weights.
        sha256: digest of the checkpoint's file, in hexadecimal digits.
    """

    cfg: DictConfig
    checkpoint: Checkpoint
    model: ModelSettings
    network: DetectorNetwork
    metadata: Metadata
    name: str
    sha256: str

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
        """Return logits, float32 of shape N, of `uint8` images N×H×W×3."""
        import torch

        with torch.inference_mode():
            found: np.ndarray = self.network(torch.from_numpy(images)).float().cpu().numpy()
        return found


def load_photo_detectors(cfg: DictConfig) -> list[PhotoDetector]:
    """Return the detectors of `checkpoint=X` or `checkpoint=[a,b,c]`, in that order.

    Raises:
        GenspotError: no usable checkpoint, one that is named twice, another number of references
            than of checkpoints, or a setting that does not fit one of them.
    """
    checkpoints = _several(cfg, "checkpoint")
    references = _several(cfg, "reference")
    if len(references) not in (1, len(checkpoints)) or (
        len(checkpoints) > 1 and references != [None] and not _is_list(cfg, "reference")
    ):
        raise GenspotError(
            f"reference= names {len(references)} and checkpoint= {len(checkpoints)}: give one "
            "reference for each detector, in the same order, reference=[a.parquet,none,null]"
        )
    references = references * len(checkpoints) if len(references) == 1 else references
    loaded = [
        _load(cfg if len(checkpoints) == 1 else deepcopy(cfg), *pair)
        for pair in zip(checkpoints, references, strict=True)
    ]
    names = _names([(one.name, one.sha256) for one in loaded], checkpoints)
    return [
        PhotoDetector(**vars(one) | {"name": name})
        for one, name in zip(loaded, names, strict=True)
    ]


def _is_list(cfg: DictConfig, setting: str) -> bool:
    return isinstance(plain(cfg, setting), list)


def _several(cfg: DictConfig, setting: str) -> list[Any]:
    value = plain(cfg, setting)
    return value if isinstance(value, list) else [value]


def _load(cfg: DictConfig, named: str | None, reference: str | None) -> PhotoDetector:
    """Return the detector of one checkpoint, as the user named it; `cfg` is changed."""
    _choose(cfg, named, reference)
    checkpoint = load_scoring_checkpoint(cfg)
    cfg = with_training_config(cfg, checkpoint.metadata)
    _choose(cfg, named, reference)  # it may have been composed again
    metadata = resolve_metadata(cfg, checkpoint)
    model = metadata.model
    network = scoring_network(cfg, checkpoint, model)
    record(cfg, metadata, model.test.with_crop(cfg.crop).crop)
    digest = describe_file(checkpoint.path)["sha256"]
    name = _short_name(str(named), checkpoint.path)
    return PhotoDetector(cfg, checkpoint, model, network, metadata, name, digest)


def _choose(cfg: DictConfig, checkpoint: str | None, reference: str | None) -> None:
    OmegaConf.update(cfg, "checkpoint", checkpoint)
    OmegaConf.update(cfg, "reference", reference)


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
