"""Exported detectors where a checkpoint may stand: in predictions. Without PyTorch."""

from __future__ import annotations

import logging
import os
from typing import Any

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.text import printable
from genspot.detector.exported import ExportedDetector, load_exported
from genspot.detector.settings import ModelSettings
from genspot.tasks.overrides import command_line_overrides, overridden_keys

log = logging.getLogger(__name__)

# Environment variables with the number of processes that torchrun and SLURM start.
PROCESSES = ("WORLD_SIZE", "SLURM_NTASKS")


def open_exported(checkpoint: str) -> ExportedDetector:
    """Return the detector of an exported file, and say what 8 bits cost where it has them.

    Raises:
        GenspotError: see `load_exported`; or several processes were started, or the command line
            has settings of PyTorch's trainer: this process alone scores, on the CPU.
    """
    detector = load_exported(checkpoint)
    for name in PROCESSES:
        if os.environ.get(name, "1") != "1":
            raise GenspotError(
                f"checkpoint={detector.path} is exported, and one process scores it, not "
                f"{os.environ[name]} ({name}): start one"
            )
    for key in overridden_keys(command_line_overrides()):
        if key.partition(".")[0] == "trainer":
            raise GenspotError(
                f"checkpoint={detector.path} is exported, and scored on the CPU without "
                f"PyTorch: leave {key} out"
            )
    if int8 := detector.export.get("int8"):
        log.info("%s computes with 8 bits: %s", detector.path, describe_int8(int8))
    return detector


def check_export(cfg: DictConfig, detector: ExportedDetector, model: ModelSettings) -> None:
    """Check that an exported detector is asked for what it is.

    Args:
        cfg: the configuration.
        detector: that is exported.
        model: the settings that are asked for.

    Raises:
        GenspotError: it has another crop, or other settings.
    """
    own = detector.metadata.model
    if model != own:
        raise GenspotError(
            f"checkpoint={detector.path} is exported, with its model inside: leave model out"
        )
    asked = own.test.with_crop(cfg.crop).crop
    if own.test.crop not in (None, asked):
        raise GenspotError(
            f"checkpoint={detector.path} is exported with crop={own.test.crop}, not "
            f"{asked or 'none'}: leave crop out, or export it again, task=export "
            f"crop={asked or 'none'}"
        )


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
