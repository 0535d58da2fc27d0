"""The logarithm of the Fourier spectrum (Zhang, Karaman & Chang)."""

from __future__ import annotations

import math

import torch
from torch import nn

from genspot.detector.inputs import register_input

SMALL = 1e-3  # added to the amplitude, so that its logarithm is finite
CLIPPED = 0.05  # the share of coefficients that is clipped at either end


@register_input("fft_log")
class LogSpectrum(nn.Module):
    """The log amplitude of the 2-D Fourier transform of each channel, scaled to [-1, 1].

    Zhang, Karaman & Chang, "Detecting and Simulating Artifacts in GAN Fake Images", WIFS 2019,
    section on the classifier. Each spectrum is clipped from its own 5th to its 95th percentile,
    which become -1 and 1. The frequency 0 is the first coefficient (the paper does not say where
    it is). A spectrum of one value alone, as of one pixel, becomes 0.
    """

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 N×C×H×W in [-1, 1] of `uint8` pixels N×C×H×W."""
        values = pixels.float()
        # Runtimes of exported graphs are less exact: logits would move by more than 1e-4.
        by_products = torch.compiler.is_exporting()
        amplitudes = fourier_amplitudes(values) if by_products else torch.fft.fft2(values).abs()
        spectrum = (amplitudes + SMALL).log()
        low, high = (_percentile(spectrum.flatten(-2), largest) for largest in (False, True))
        span = high - low
        scaled = (spectrum - low[..., None]) / torch.where(span > 0, span, 1)[..., None]
        return torch.where(span[..., None] > 0, scaled.clamp(0, 1) * 2 - 1, 0)


def fourier_amplitudes(images: torch.Tensor) -> torch.Tensor:
    """Return the amplitudes of the 2-D Fourier transform by matrix products, floats N×C×H×W.

    Args:
        images: floats of that shape.
    """
    (rows, other_rows), (columns, other_columns) = map(_waves, images.shape[-2:])
    real, imaginary = images @ columns, images @ other_columns  # of the transform of each row
    whole = rows @ real - other_rows @ imaginary, rows @ imaginary + other_rows @ real
    return (whole[0].square() + whole[1].square()).sqrt()


def _waves(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and negative sine of all frequencies of `size` places, float32 size×size."""
    places = torch.arange(size)
    turns = torch.outer(places, places) % size  # whole numbers: no rounding at high frequencies
    angles = turns.double() * (2 * math.pi / size)
    return angles.cos().float(), -angles.sin().float()


def _percentile(values: torch.Tensor, largest: bool) -> torch.Tensor:
    """Return, with a last axis of 1, the 5th percentile along it, or the 95th if `largest`.

    It is interpolated between two values, as NumPy does. Only the values beyond it are sorted:
    `torch.quantile` sorts all, which takes several times as long.
    """
    place = CLIPPED * (values.shape[-1] - 1)
    count = min(math.floor(place) + 2, values.shape[-1])
    ends = values.topk(count, largest=largest).values[..., -2:]
    return torch.lerp(ends[..., :1], ends[..., -1:], place - math.floor(place))
