"""A small network of two halves: convolutions, and a linear classifier of the mean spectrum.

A generator's upsampling leaves periodic traces, peaks in the spectrum (Zhang, Karaman & Chang,
WIFS 2019); convolutions find traces that are local. The logit of an image is the mean of both
halves. A training leaves out each half of a third of the images, so that neither relies on the
other. Both logits are bounded, so that neither outvotes the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.fx
from torch import nn
from torch.nn import functional

from genspot.common.checks import check_integer
from genspot.common.errors import GenspotError
from genspot.detector.backbones import register_backbone
from genspot.detector.backbones.small_cnn import convolution
from genspot.detector.inputs.fft_log import fourier_amplitudes

HALVES = ("pixels", "spectrum")
MAX_WIDTH, MAX_CHANNELS = 1024, 1024
BOUND = 6.0  # of the logit of a half
WINDOW, STEP = 64, 32  # side and distance of the windows of the spectrum in pixels
LUMINANCE = 3  # the first channels, whose mean the spectrum is of
SMALL = 1e-3  # added to the power, so that its logarithm is finite; about the noise of 8 bits
NEIGHBOURS = 7  # side of the square of frequencies whose mean is subtracted
UNUSED = 0.8  # share of the frequencies that a training leaves out of an image at random


@register_backbone("pixels_and_spectrum")
class PixelsAndSpectrum(nn.Module):
    """The mean of the bounded logits of the halves, N×1, of features N×C×H×W.

    Args:
        channels: C of the features.
        width: channels of the first convolution, from 1 to 1024.
        halves: of "pixels" and "spectrum". The spectrum is of the mean of the first three
            channels; what is smaller than 64 × 64 pixels is padded with zeros for it.

    Raises:
        GenspotError: a setting is out of its range.
    """

    def __init__(self, channels: int, width: int, halves: Sequence[str] = HALVES) -> None:
        super().__init__()
        check_integer("model.backbone.channels", channels, minimum=1, maximum=MAX_CHANNELS)
        check_integer("model.backbone.width", width, minimum=1, maximum=MAX_WIDTH)
        named = list(halves) if isinstance(halves, list | tuple) else []
        unknown = any(one not in HALVES for one in named)
        if not named or unknown or len(set(named)) < len(named):
            raise GenspotError(
                f"model.backbone.halves={halves}: give a list of {' and '.join(HALVES)}, each once"
            )
        made = {
            "pixels": lambda: _convolutions(channels, width),
            "spectrum": _SpectrumClassifier,
        }
        self.halves = nn.ModuleDict({name: made[name]() for name in HALVES if name in named})

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits = torch.cat([half(features) for half in self.halves.values()], dim=1)
        logits = BOUND * torch.tanh(logits / BOUND)
        if self.training and len(self.halves) > 1:
            return (logits * _drawn_weights(logits)).sum(1, keepdim=True)
        return logits.mean(1, keepdim=True)


def _drawn_weights(logits: torch.Tensor) -> torch.Tensor:
    """Return weights N×2 of the halves: of each image the first alone, the second, or both."""
    choices = logits.new_tensor([[1, 0], [0, 1], [0.5, 0.5]])
    return choices[torch.randint(3, (len(logits),), device=logits.device)]


def _convolutions(channels: int, width: int) -> nn.Module:
    """Return convolutions with batch norm, of which the first keeps the size of the image."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),  # representations differ in scale
        *convolution(channels, width),
        *convolution(width, 2 * width, stride=2),
        _Block(2 * width),
        *convolution(2 * width, 4 * width, stride=2),
        _Block(4 * width),
        *convolution(4 * width, 6 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6 * width, 1),
    )


class _Block(nn.Module):
    """Two convolutions and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.relu(features + self.layers(features))


class _SpectrumClassifier(nn.Module):
    """A linear classifier of how far the power of each frequency is above its neighbours'."""

    window: torch.Tensor
    chosen: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        side = WINDOW // 2 + 1
        self.register_buffer("chosen", _upper_triangle(side), persistent=False)
        window = torch.hann_window(WINDOW, periodic=False)  # as its mirror image
        self.register_buffer("window", torch.outer(window, window), persistent=False)
        self.norm = nn.BatchNorm1d(side * (side + 1) // 2, affine=False)
        self.dropout = nn.Dropout(UNUSED)
        self.linear = nn.Linear(side * (side + 1) // 2, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        found = excess_power(features, self.window).flatten(1).index_select(1, self.chosen)
        if self.training and len(found) == 1:  # one image has no variance
            found = functional.batch_norm(found, self.norm.running_mean, self.norm.running_var)
        else:
            found = self.norm(found)
        logits: torch.Tensor = self.linear(self.dropout(found))
        return logits


@torch.fx.wrap  # what fuses batch norms does not look into it
def excess_power(features: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Return the log power of the luminance of features N×C×H×W minus its neighbours', N×33×33.

    Args:
        features: of which the first three channels count.
        window: see `mean_power`.
    """
    with torch.autocast(features.device.type, enabled=False):  # in bfloat16, powers are noise
        luminance = features[:, :LUMINANCE].float().mean(1)
        if not torch.compiler.is_exporting():  # an exported graph has no smaller images
            missing = [max(0, len(window) - side) for side in luminance.shape[1:]]
            luminance = functional.pad(luminance, (0, missing[1], 0, missing[0]))
        return _excess((mean_power(luminance, window) + SMALL).log())


def mean_power(images: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Return the mean power spectrum of overlapping windows, N×33×33 for windows of 64.

    The mean is also over what a mirrored or transposed image has: element i, j is of the
    frequencies (±i, ±j) and (±j, ±i), in periods per 64 pixels.

    Args:
        images: floats N×H×W, both sides at least as long as the window.
        window: weights of the pixels of a window, S×S with an even S.
    """
    size = window.shape[-1]
    windows = images.unfold(1, size, STEP).unfold(2, size, STEP)
    centred = (windows - windows.mean((-2, -1), keepdim=True)) * window
    half = size // 2 + 1
    if torch.compiler.is_exporting():  # runtimes of exported graphs have no exact transform
        power = fourier_amplitudes(centred)[..., :half].square()
    else:
        power = torch.fft.rfft2(centred).abs().square()
    power = power.mean((1, 2))
    mirrored = torch.cat([power[:, :1], power[:, half - 1 :].flip(1)], dim=1)
    quadrant = (power[:, :half] + mirrored) / 2
    return (quadrant + quadrant.transpose(1, 2)) / 2


def _excess(spectra: torch.Tensor) -> torch.Tensor:
    """Return spectra N×S×S minus the mean of their neighbours, which are mirrored at the ends."""
    around = NEIGHBOURS // 2
    padded = functional.pad(spectra[:, None], (around,) * 4, mode="reflect")
    return spectra - functional.avg_pool2d(padded, NEIGHBOURS, stride=1)[:, 0]


def _upper_triangle(side: int) -> torch.Tensor:
    """Return the places in a flattened square of the elements with column ≥ row."""
    rows, columns = torch.triu_indices(side, side)
    return rows * side + columns
