"""The diagonal band of a wavelet transform (SAFE)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from genspot.detector.inputs import register_input


@register_input("dwt_hh")
class DiagonalBand(nn.Module):
    """The diagonal band of one level of the wavelet bior1.3, resized to the image's size.

    Li et al., "Improving Synthetic Image Detection Towards Generalization: An Image Transformation
    Perspective" (SAFE), KDD 2025. The high-pass filter of bior1.3 has two taps: the band is
    (a − b − c + d) / 2 of blocks of 2 × 2 pixels, of an image that is mirrored at its border.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×C×H×W in [-1, 1] of `uint8` pixels N×C×H×W, scaled to [0, 1] before."""
        band = _differences(_differences(pixels.float(), -2), -1) / 510
        return functional.interpolate(band, pixels.shape[-2:], mode="bilinear")


def _differences(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Return the first minus the second of each pair along `axis`.

    The pairs begin two values before the first and end at least two after the last; values beyond
    the border are mirrored ("symmetric" of PyWavelets), also more than once.
    """
    side = values.shape[axis]
    places = torch.arange(-2, side + side % 2 + 2, device=values.device) % (2 * side)
    places = torch.minimum(places, 2 * side - 1 - places)
    first, second = (values.index_select(axis, part) for part in (places[::2], places[1::2]))
    return first - second
