"""Normalised pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.inputs import register_input


@register_input("pixels")
class Pixels(nn.Module):
    """Scale pixels to [0, 1] and normalise each channel.

    Args:
        mean: of each of the three channels, on the scale from 0 to 1.
        std: of each channel, above 0.

    Raises:
        GenspotError: not three numbers each, or a std that is not above 0.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            if not _are_three_numbers(values):
                raise GenspotError(f"model.input.{name}={values}: give one number per channel")
        if min(std) <= 0:
            raise GenspotError(f"model.input.std={std}: each must be above 0")
        # Settings, not weights: a state dict of the published detector has neither.
        self.register_buffer(
            "mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1), persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1), persistent=False
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×3×H×W of `uint8` pixels N×3×H×W."""
        return (pixels.float() / 255 - self.mean) / self.std


def _are_three_numbers(values: object) -> bool:
    """Return whether `values`, which a foreign file may have given, are three finite numbers."""
    return (
        isinstance(values, list | tuple)
        and len(values) == 3
        and all(type(value) in (int, float) and math.isfinite(value) for value in values)
    )
