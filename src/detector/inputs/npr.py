"""Neighbouring pixel relationships (Tan et al., CVPR 2024)."""

from __future__ import annotations

import torch
from torch.nn import functional

from genspot.detector.inputs import register_input
from genspot.detector.inputs.pixels import Pixels


@register_input("npr")
class NeighbouringPixels(Pixels):
    """Two thirds of what differs from the top left pixel of each block of 2 × 2.

    Tan et al., "Rethinking the Up-Sampling Operations in CNN-based Generative Network for
    Generalizable Deepfake Detection", CVPR 2024: the image minus its nearest-neighbour copy at
    half the size, enlarged again. The last row or column of an odd side is cut. The paper does not
    speak of a side of one pixel, which is kept here.

    Args:
        mean: of each of the three channels, on the scale from 0 to 1.
        std: of each channel, above 0; the pixels are normalised before the difference.

    Raises:
        GenspotError: see `Pixels`.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×3×H'×W' of `uint8` pixels N×3×H×W; H' and W' are even, or 1."""
        height, width = (side if side == 1 else side - side % 2 for side in pixels.shape[-2:])
        # In place, and channels first: with three channels last, it takes three times as long.
        images = super().forward(pixels[..., :height, :width].contiguous())
        corners = functional.interpolate(images[..., ::2, ::2], (height, width))
        return images.sub_(corners).mul_(2 / 3)
