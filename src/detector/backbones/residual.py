"""ResNets as torchvision builds them, to the same weights and bits.

He et al., CVPR 2016, with the stride of a bottleneck in its 3×3 convolution, as there.
torchvision itself takes a second and 170 MB to import, more than all else of a prediction but
PyTorch. A seed draws the same weights here, and the names of the parameters are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

Features = torch.Tensor  # floats N×C×H×W


class Architecture(NamedTuple):
    """The blocks of a network."""

    bottleneck: bool
    blocks: tuple[int, int, int, int]  # of each stage
    groups: int = 1  # of the 3×3 convolutions
    group_width: int = 64  # channels of a group in the first stage


ARCHITECTURES = {
    "resnet18": Architecture(False, (2, 2, 2, 2)),
    "resnet34": Architecture(False, (3, 4, 6, 3)),
    "resnet50": Architecture(True, (3, 4, 6, 3)),
    "resnet101": Architecture(True, (3, 4, 23, 3)),
    "resnet152": Architecture(True, (3, 8, 36, 3)),
    "resnext50_32x4d": Architecture(True, (3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x8d": Architecture(True, (3, 4, 23, 3), groups=32, group_width=8),
    "resnext101_64x4d": Architecture(True, (3, 4, 23, 3), groups=64, group_width=4),
    "wide_resnet50_2": Architecture(True, (3, 4, 6, 3), group_width=128),
    "wide_resnet101_2": Architecture(True, (3, 4, 23, 3), group_width=128),
}
WIDTHS = (64, 128, 256, 512)  # of the stages


class Block(nn.Module):
    """A residual block: subclasses compute what is added to the shortcut."""

    downsample: nn.Module | None
    relu: nn.ReLU

    def residual(self, features: Features) -> Features:
        """Return what is added to the shortcut."""
        raise NotImplementedError

    def forward(self, features: Features) -> Features:
        """Return the features of the block."""
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.residual(features)
        features += shortcut
        result: Features = self.relu(features)
        return result


class BasicBlock(Block):
    """Two 3×3 convolutions and the shortcut; arguments as of `Bottleneck`."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        group_width: int = 64,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def residual(self, features: Features) -> Features:
        """Return what is added to the shortcut."""
        features = self.relu(self.bn1(self.conv1(features)))
        result: Features = self.bn2(self.conv2(features))
        return result


class Bottleneck(Block):
    """Convolutions of 1×1, 3×3 and 1×1, and the shortcut.

    Args:
        inputs: channels of the features.
        width: a quarter of the channels that the block returns.
        stride: of the 3×3 convolution.
        downsample: of the shortcut; None: the features themselves.
        groups: of the 3×3 convolution.
        group_width: channels of a group where `width` is 64; more in proportion.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        group_width: int = 64,
    ) -> None:
        super().__init__()
        inner, outputs = int(width * (group_width / 64.0)) * groups, width * self.expansion
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def residual(self, features: Features) -> Features:
        """Return what is added to the shortcut."""
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.relu(self.bn2(self.conv2(features)))
        result: Features = self.bn3(self.conv3(features))
        return result


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, a mean over the image and a linear layer.

    Args:
        architecture: its blocks.
        outputs: of the linear layer.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, architecture: Architecture, outputs: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for number, (width, blocks) in enumerate(zip(WIDTHS, architecture.blocks, strict=True)):
            stage, inputs = _stage(architecture, inputs, width, blocks, 2 if number else 1)
            self.add_module(f"layer{number + 1}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return N×outputs of floats N×3×H×W."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
        result: torch.Tensor = self.fc(torch.flatten(self.avgpool(features), 1))
        return result


def _stage(
    architecture: Architecture, inputs: int, width: int, blocks: int, stride: int
) -> tuple[nn.Sequential, int]:
    """Return a stage, and the channels that it returns."""
    block = Bottleneck if architecture.bottleneck else BasicBlock
    outputs, downsample = width * block.expansion, None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
    groups = architecture.groups, architecture.group_width
    first = block(inputs, width, stride, downsample, *groups)
    rest = [block(outputs, width, 1, None, *groups) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest), outputs
