"""The figures of each validation, so that those of the best checkpoint are known in the end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch


class ValidationFigures(pl.Callback):
    """Keep what each validation logged, also over a resumption.

    Attributes:
        figures: step → name without "val/", such as "ap" → value.
    """

    def __init__(self) -> None:
        self.figures: dict[int, dict[str, float]] = {}

    # Before the checkpoints of this epoch, which keep the state: Lightning runs those last.
    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        self.figures[trainer.global_step] = {
            name.removeprefix("val/"): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }

    def state_dict(self) -> dict[str, Any]:
        return {"figures": self.figures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.figures = state_dict["figures"]


def read_validation_figures(checkpoint: Path) -> dict[str, float | None] | None:
    """Return the figures of the validation after which a training wrote `checkpoint`.

    Returns:
        name → value, None where it is not finite; None if the checkpoint does not have them, as
        those of earlier versions.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    state = content.get("callbacks", {}).get(ValidationFigures.__qualname__, {})
    found = state.get("figures", {}).get(content["global_step"])
    if found is None:
        return None
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
