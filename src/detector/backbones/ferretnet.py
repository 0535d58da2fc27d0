"""FerretNet: grouped convolutions with two dilations, for residuals of a median."""

from __future__ import annotations

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import register_backbone

MAX_WIDTH, MAX_DEPTH = 1024, 100


@register_backbone("ferretnet")
class FerretNet(nn.Module):
    """Two convolutions, two stages of blocks, a 1×1 convolution, a mean over the image, one logit.

    FerretNet (NeurIPS 2025). The names of the parameters are those of its published files.

    Args:
        width: channels before the first stage, an even number from 2 to 1024; each stage doubles
            them. 96 in FerretNet-B (1,057,777 parameters), 32 in FerretNet-S (126,289).
        depth: blocks in each of the two stages, from 1 to 100; 2 in both.

    Raises:
        GenspotError: there is no network of that width or depth.
    """

    def __init__(self, width: int, depth: int = 2) -> None:
        super().__init__()
        if type(width) is not int or not 2 <= width <= MAX_WIDTH or width % 2:
            raise GenspotError(
                f"model.backbone.width={width}: give an even number from 2 to {MAX_WIDTH}"
            )
        if type(depth) is not int or not 1 <= depth <= MAX_DEPTH:
            raise GenspotError(
                f"model.backbone.depth={depth}: give a whole number from 1 to {MAX_DEPTH}"
            )
        self.cbr1 = _conv_bn_relu(3, width // 2, stride=1)
        self.cbr2 = _conv_bn_relu(width // 2, width, stride=2)
        self.feature = nn.Sequential(
            _stage(width, 2 * width, depth),
            _stage(2 * width, 4 * width, depth),
            nn.Conv2d(4 * width, 4 * width, 1, bias=False),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.logit = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * width, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits N×1 of floats N×3×H×W."""
        features = self.pool(self.feature(self.cbr2(self.cbr1(features))))
        logits: torch.Tensor = self.logit(features.flatten(1))
        return logits


class TwoDilations(nn.Module):
    """Two 3×3 convolutions grouped by input channels, dilated by 1 and 2; a 1×1 of their sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(
                *(inputs, outputs, 3, stride, dilation, dilation),  # padded by the dilation
                groups=inputs,
                bias=False,
            )
            for dilation in (1, 2)
        )
        self.conv3 = nn.Conv2d(outputs, outputs, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.conv3(self.conv1(features) + self.conv2(features))
        return result


class DepthwiseSeparable(nn.Module):
    """A 3×3 convolution of each channel, then a 1×1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depth_wise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.point_wise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.point_wise(self.depth_wise(features))
        return result


class Block(nn.Module):
    """A `TwoDilations` and a `DepthwiseSeparable`, each with a batch norm, plus a shortcut.

    Args:
        inputs: number of channels of the features.
        outputs: number of channels of the result.
        stride: 1 or 2. With the same channels and stride 1, the shortcut is the identity.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            TwoDilations(inputs, outputs, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            DepthwiseSeparable(outputs),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.relu(self.layers(features) + self.shortcut(features))
        return result


def _conv_bn_relu(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _stage(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    first = Block(inputs, outputs, stride=2)
    return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(depth - 1)))
