"""What images are scored with: a reference or a scaling is of the same, or refused."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from genspot.detector.detector_file import DetectorFile
from genspot.detector.settings import ModelSettings


def scoring_facts(
    cfg: DictConfig, checkpoint: DetectorFile, model: ModelSettings
) -> dict[str, Any]:
    """Return what the photos of a reference, or those that it is for, are scored with.

    A scaling holds for the same. The values are plain.

    Args:
        cfg: with the protocol, and the crop that replaces the model's.
        checkpoint: the file. Of an exported one, the checkpoint that it was made of counts.
        model: which it is scored as.
    """
    return {
        "checkpoint": checkpoint.source,
        "model": model.as_dict(),
        "crop": model.test.with_crop(cfg.crop).crop,
        "protocol": str(cfg.protocol),
    }
