"""What differs from the median of the neighbours (FerretNet)."""

from __future__ import annotations

import torch
from torch.nn import functional

from genspot.detector.inputs import register_input
from genspot.detector.inputs.pixels import Pixels


@register_input("median3")
class MedianResidual(Pixels):
    """Normalised pixels minus the median of their neighbourhood, in each channel.

    The neighbourhood is the 3 × 3 around a pixel, of which the pixel itself counts as 0, as do
    those beyond the border; the median is the fifth of the nine (FerretNet, section on local
    pixel dependencies).

    Args:
        mean: of each of the three channels, on the scale from 0 to 1.
        std: of each channel, above 0; 0 is the mean of what is normalised so.

    Raises:
        GenspotError: see `Pixels`.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×3×H×W of `uint8` pixels N×3×H×W."""
        if pixels.device.type != "cpu" or torch.compiler.is_exporting():  # no loop in a graph
            return self._residual(pixels)
        # One after the other, the arrays of an image stay in the caches of a CPU; those of a batch
        # are fetched from the system each time, which takes several times as long.
        return torch.cat([self._residual(image) for image in torch.split(pixels, 1)])

    def _residual(self, pixels: torch.Tensor) -> torch.Tensor:
        images = super().forward(pixels.contiguous())  # see `npr`
        return images - median_of_neighbours(images)


def median_of_neighbours(images: torch.Tensor) -> torch.Tensor:
    """Return the fifth of each pixel's eight neighbours and a 0; those beyond the border are 0.

    The median of three sorted columns is the median of the highest of their lowest, the median of
    their middle and the lowest of their highest values. A sorted column serves two windows, and no
    window is copied: about 24 minima and maxima a pixel.

    Args:
        images: floats N×C×H×W.
    """
    padded = functional.pad(images, (1, 1, 1, 1))
    above, middle, below = padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :]
    low, high = torch.minimum(above, below), torch.maximum(above, below)
    # The sorted columns beside a window's centre, then its own, whose centre counts as 0.
    side = torch.minimum(low, middle), _clamp(middle, low, high), torch.maximum(high, middle)
    low, high = low[..., 1:-1], high[..., 1:-1]
    own = low.clamp(max=0), torch.minimum(low.clamp(min=0), high), high.clamp(min=0)
    (left_low, right_low), (left, right), (left_high, right_high) = (
        (part[..., :-2], part[..., 2:]) for part in side
    )
    lowest = torch.maximum(torch.maximum(left_low, right_low), own[0])
    highest = torch.minimum(torch.minimum(left_high, right_high), own[2])
    median = _clamp(own[1], torch.minimum(left, right), torch.maximum(left, right))
    return _clamp(median, torch.minimum(lowest, highest), torch.maximum(lowest, highest))


def _clamp(values: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Return `values` kept from `low` to `high`: the median of the three."""
    return torch.minimum(torch.maximum(values, low), high)
