"""The Laplacian of the pixels: what differs from the neighbours."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from genspot.detector.inputs import register_input


@register_input("laplacian")
class Laplacian(nn.Module):
    """The sum of the four neighbours minus four times the pixel, in each channel.

    It removes what an image shows and keeps its finest detail, where upsampling leaves traces.
    Pixels beyond the border equal those at the border.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×C×H×W in [-1020, 1020] of `uint8` pixels N×C×H×W.

        The values are whole numbers, so that they are equal on all machines.
        """
        values = pixels.float()
        padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
        vertical = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        horizontal = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        return vertical + horizontal - 4 * values
