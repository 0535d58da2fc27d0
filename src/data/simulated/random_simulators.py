"""Simulated generators that are drawn at random, so that no single one is learned.

Each is an autoencoder like those of `genspot.data.simulated.generators`, trained to give back
photographs (Zhang, Karaman & Chang, WIFS 2019, arXiv 1907.06515). Its upsampling, depth, width,
normalisation, activation, residual blocks, last layer and losses are drawn, and whether it is
trained against a discriminator of patches. The ranges are our choice; they cover what the
generators of the published test sets are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from genspot.data.settings import UPSAMPLERS
from genspot.data.simulated.generators import make_upsampler

STAGES = (1, 2, 2, 2, 3, 3)  # drawn from, as all below; what stands twice is drawn twice as often
WIDTHS, WIDEST = (16, 24, 32), (64, 96, 128)  # channels: of the first layer, and at most
NORMALISATIONS = ("none", "none", "instance", "batch")
ACTIVATIONS = ("relu", "leaky", "silu")
BLOCKS, LAST_KERNELS = (0, 1, 2, 4), (1, 3, 5, 7)
LOSSES = ("l1", "l1", "l2")
SAME_UPSAMPLING = 0.7  # probability that all stages upsample in one way
SECOND_CONVOLUTION = 0.4  # probability of a convolution after each upsampling
SHARPNESS = 0.7  # probability of a term of sharpness in the loss
DISCRIMINATOR = 0.6  # probability of a discriminator


@dataclass(frozen=True)
class Draw:
    """What one simulator is made of.

    Attributes:
        upsamplings: of each stage, from the inside out, each of `settings.UPSAMPLERS`.
        width: channels of the first and of the last stage.
        widest: channels at most.
        normalisation: of `NORMALISATIONS`.
        activation: of `ACTIVATIONS`.
        blocks: residual blocks at the smallest size.
        second: whether a convolution follows each upsampling.
        kernel: side of the last convolution's kernel in pixels.
        loss: "l1" or "l2", of the pixels.
        sharpness: whether the loss has a term of sharpness.
        discriminator: whether a discriminator is trained against it.
    """

    upsamplings: tuple[str, ...]
    width: int
    widest: int
    normalisation: str
    activation: str
    blocks: int
    second: bool
    kernel: int
    loss: str
    sharpness: bool
    discriminator: bool


def draw(*seeds: int) -> Draw:
    """Return what the simulator of these seeds is made of; other seeds, another one."""
    rng = np.random.default_rng(seeds)

    def one(choices: Sequence[Any]) -> Any:
        return choices[int(rng.integers(len(choices)))]

    stages, kind = one(STAGES), one(UPSAMPLERS)
    same = rng.random() < SAME_UPSAMPLING
    return Draw(
        upsamplings=tuple(kind if same else one(UPSAMPLERS) for _ in range(stages)),
        width=one(WIDTHS),
        widest=one(WIDEST),
        normalisation=one(NORMALISATIONS),
        activation=one(ACTIVATIONS),
        blocks=one(BLOCKS),
        second=bool(rng.random() < SECOND_CONVOLUTION),
        kernel=one(LAST_KERNELS),
        loss=one(LOSSES),
        sharpness=bool(rng.random() < SHARPNESS),
        discriminator=bool(rng.random() < DISCRIMINATOR),
    )


def choose(
    wanted: int, seeds: Sequence[int], leave_out: Sequence[str] = (), discriminator: str = "any"
) -> list[int]:
    """Return the first numbers whose simulators are of a kind.

    What is left out changes no other simulator, so that ablations share those they have in common.

    Args:
        wanted: how many.
        seeds: before the number, see `draw`.
        leave_out: upsamplings that no stage may have; at least one of `UPSAMPLERS` is not in it.
        discriminator: of `settings.DISCRIMINATOR_CHOICES`.
    """

    def fits(made: Draw) -> bool:
        trained = "with" if made.discriminator else "without"
        return not set(made.upsamplings) & set(leave_out) and discriminator in ("any", trained)

    numbers = (number for number in count() if fits(draw(*seeds, number)))
    return [next(numbers) for _ in range(wanted)]


def _normalisation(kind: str, channels: int) -> list[nn.Module]:
    if kind == "none":
        return []
    layers = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}
    return [layers[kind](channels, affine=True)]


def _activation(kind: str) -> nn.Module:
    return {"relu": nn.ReLU(), "leaky": nn.LeakyReLU(0.2), "silu": nn.SiLU()}[kind]


class _Block(nn.Module):
    """Two 3×3 convolutions and the identity."""

    def __init__(self, channels: int, made: Draw) -> None:
        super().__init__()
        norms = [_normalisation(made.normalisation, channels) for _ in range(2)]
        convolutions = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)]
        first = [convolutions[0], *norms[0], _activation(made.activation)]
        self.layers = nn.Sequential(*first, convolutions[1], *norms[1])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.layers(features)


class RandomSimulator(nn.Module):
    """Autoencoder of RGB images, float N×3×H×W in [0, 1].

    Of sides that are no multiples of 2 ** stages the result has the next larger ones.

    Args:
        made: what it is made of.
    """

    def __init__(self, made: Draw) -> None:
        super().__init__()
        stages = len(made.upsamplings)
        channels = [min(made.width * 2**stage, made.widest) for stage in range(stages + 1)]

        def ending(count: int) -> list[nn.Module]:
            return [*_normalisation(made.normalisation, count), _activation(made.activation)]

        layers = [nn.Conv2d(3, channels[0], 3, padding=1), _activation(made.activation)]
        for inputs, outputs in pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), *ending(outputs)]
        layers += [_Block(channels[-1], made) for _ in range(made.blocks)]
        for kind, (inputs, outputs) in zip(
            made.upsamplings, pairwise(reversed(channels)), strict=True
        ):
            layers += [make_upsampler(kind, inputs, outputs), *ending(outputs)]
            if made.second:
                second = nn.Conv2d(outputs, outputs, 3, padding=1)
                layers += [second, _activation(made.activation)]
        # Mirrored borders, as zeros would leave a frame.
        last = nn.Conv2d(
            channels[0], 3, made.kernel, padding=made.kernel // 2, padding_mode="reflect"
        )
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layers(2 * images - 1)
        return (output + 1) / 2


class PatchDiscriminator(nn.Module):
    """Scores of overlapping patches: above 0 is real. Weights have a spectral norm of 1.

    Spectral normalisation: Miyato et al., ICLR 2018, arXiv 1802.05957. Takes RGB images, float
    N×3×H×W in [0, 1], of at least 8 × 8 pixels; returns N×1×H/4×W/4.

    Args:
        width: channels of the first layer.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        sizes = [(3, width, 4, 2), (width, 2 * width, 4, 2)]
        sizes += [(2 * width, 4 * width, 3, 1), (4 * width, 1, 3, 1)]
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, stride in sizes:
            layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=1)
            layers += [nn.utils.parametrizations.spectral_norm(layer), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layers(2 * images - 1)
        return scores
