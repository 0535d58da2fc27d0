"""Exported detectors where a checkpoint may stand: in predictions."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from genspot.common.errors import GenspotError
from genspot.common.text import printable
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.exported import ExportedDetector, is_exported, load_exported
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.detector.settings import ModelSettings
from genspot.tasks.networks import make_scoring_network
from genspot.tasks.weights_by_name import load_named_checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedCheckpoint(Checkpoint):
    """An exported detector in the form of a checkpoint.

    Its state dict holds the SHA-256 of the file alone, by which an interrupted prediction knows
    it again.
    """

    detector: ExportedDetector | None = None


class ExportedNetwork(DetectorNetwork):
    """An exported detector in place of a network, so that the loops over images take it."""

    def __init__(self, detector: ExportedDetector) -> None:
        super().__init__(nn.Identity(), nn.Identity())
        self.eval()
        self.detector = detector

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 of shape N, of `uint8` images N×H×W×3."""
        pixels = images.permute(0, 3, 1, 2).contiguous().cpu().numpy()
        return torch.from_numpy(self.detector.logits(pixels)).to(images.device)


def load_scoring_checkpoint(cfg: DictConfig) -> Checkpoint:
    """Return the checkpoint of the configuration, which may be a file of task=export.

    Raises:
        GenspotError: see `load_named_checkpoint` and `load_exported`.
    """
    if not is_exported(cfg.checkpoint):
        return load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)
    detector = load_exported(cfg.checkpoint)
    if int8 := detector.export.get("int8"):
        log.info("%s computes with 8 bits: %s", detector.path, describe_int8(int8))
    with detector.path.open("rb") as file:
        digest = bytearray(hashlib.file_digest(file, "sha256").digest())
    state = {"sha256": torch.frombuffer(digest, dtype=torch.uint8)}
    return ExportedCheckpoint(detector.path, detector.metadata, state, detector=detector)


def scoring_network(
    cfg: DictConfig, checkpoint: Checkpoint, model: ModelSettings
) -> DetectorNetwork:
    """Return what scores images with a checkpoint of `load_scoring_checkpoint`, for evaluation.

    Args:
        cfg: the configuration.
        checkpoint: the file.
        model: the settings that are asked for.

    Raises:
        GenspotError: see `make_scoring_network`; or an exported detector has another crop or
            other settings than are asked for.
    """
    if not isinstance(checkpoint, ExportedCheckpoint) or checkpoint.detector is None:
        return fuse_batchnorm(make_scoring_network(cfg, checkpoint, model), in_place=True)
    own = checkpoint.metadata.model
    if model != own:
        raise GenspotError(
            f"checkpoint={checkpoint.path} is exported, with its model inside: leave model out"
        )
    asked = own.test.with_crop(cfg.crop).crop
    if own.test.crop not in (None, asked):
        raise GenspotError(
            f"checkpoint={checkpoint.path} is exported with crop={own.test.crop}, not "
            f"{asked or 'none'}: leave crop out, or export it again, task=export "
            f"crop={asked or 'none'}"
        )
    return ExportedNetwork(checkpoint.detector)


def describe_int8(int8: Any) -> str:
    """Return in words what 8 bits cost, of `ExportedDetector.export`, which anybody may write."""
    try:
        words = "; ".join(
            f"{name}: AP {one['ap_int8']:.4f}, float32 {one['ap']:.4f}, {one['images']:d} images"
            for name, one in int8["sets"].items()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        words = ""
    return printable(words) or "its loss of AP is not recorded"
