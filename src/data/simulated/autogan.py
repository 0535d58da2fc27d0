"""AutoGAN: a generator of image-to-image GANs that reproduces photographs.

Zhang, Karaman & Chang, "Detecting and simulating artifacts in GAN fake images", WIFS 2019 (arXiv
1907.06515): the generator of an image-to-image GAN is trained against a discriminator to give back
the photograph that it gets. Its output has the traces that such GANs leave, and any photographs
will do. The networks here are those of CycleGAN (Zhu et al., ICCV 2017, arXiv 1703.10593, section
4 and appendix: nine residual blocks at 256 pixels, a discriminator of 70×70 patches). That AutoGAN
has just these numbers of channels and blocks is unconfirmed; both are settings.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

DEVIATION = 0.02  # of the initial weights, normal around 0 (CycleGAN, appendix)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution with reflected borders, instance normalisation and ReLU."""
    layers = [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride)]
    return [*layers, nn.InstanceNorm2d(outputs), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and the identity, `channels` to `channels`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (_convolution(channels, channels, 3) for _ in range(2))
        self.layers = nn.Sequential(*first, *second[:-1])  # no ReLU before the sum

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.layers(features)


class Generator(nn.Module):
    """Encoder, residual blocks and a decoder of transposed convolutions.

    Takes and returns RGB images, float N×3×H×W in [0, 1]. Of sides that are no multiples of 4 the
    result has the next larger ones.

    Args:
        width: channels of the first layer; the blocks have four times as many.
        blocks: number of residual blocks.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        layers = _convolution(3, width, 7)
        for inputs in (width, 2 * width):
            layers += _convolution(inputs, 2 * inputs, 3, stride=2)
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for inputs in (4 * width, 2 * width):  # kernel 3, stride 2: the windows overlap unevenly
            up = nn.ConvTranspose2d(inputs, inputs // 2, 3, 2, padding=1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(inputs // 2), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_draw_weights)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layers(2 * images - 1)
        return (output + 1) / 2


class Discriminator(nn.Module):
    """Scores of overlapping 70×70 patches: 1 is real, 0 is fake.

    Takes RGB images, float N×3×H×W in [0, 1], of at least 32 × 32 pixels; returns N×1×h×w.

    Args:
        width: channels of the first layer; the last hidden one has eight times as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, padding=1), nn.LeakyReLU(0.2)]
        sizes = [width, 2 * width, 4 * width, 8 * width]
        for (inputs, outputs), stride in zip(pairwise(sizes), (2, 2, 1), strict=True):
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride, padding=1),
                nn.InstanceNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(sizes[-1], 1, 4, padding=1))
        self.apply(_draw_weights)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.layers(2 * images - 1)
        return scores


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, DEVIATION)
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
