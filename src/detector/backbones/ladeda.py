"""LaDeDa: a ResNet-50 that sees 9×9 pixels and scores each such patch."""

from __future__ import annotations

import torch
from torch import nn

from genspot.detector.backbones import register_backbone
from genspot.detector.patches import PatchBackbone

# Of each stage: blocks, width, stride of the first block, and the kernel of its convolution.
STAGES = ((3, 64, 2, 3), (4, 128, 2, 3), (6, 256, 2, 1), (3, 512, 1, 1))
EXPANSION = 4  # of a bottleneck's width, to its output's channels


@register_backbone("ladeda")
class LaDeDa(PatchBackbone):
    """ResNet-50 with 3×3 kernels in three places alone, and a logit for each place of its map.

    Cavia et al., 2024 (arXiv 2406.09398), section 3: the stem and the first block of stages 1 and
    2 have a 3×3 kernel; all other kernels are 1×1. As none is padded, each place sees 9×9 pixels
    of the image, every 8 pixels. The names of the parameters are those of the published files.
    """

    def __init__(self) -> None:
        super().__init__(patch_size=9, patch_stride=8)
        self.conv1 = nn.Conv2d(3, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 64, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        inputs = 64
        for number, (blocks, width, stride, kernel) in enumerate(STAGES, start=1):
            setattr(self, f"layer{number}", _stage(inputs, blocks, width, stride, kernel))
            inputs = width * EXPANSION
        self.fc = nn.Linear(inputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def patch_features(self, features: torch.Tensor) -> torch.Tensor:
        """Return N×2048×h×w of floats N×3×H×W."""
        features = self.relu(self.bn1(self.conv2(self.conv1(features))))
        for number in range(1, len(STAGES) + 1):
            features = getattr(self, f"layer{number}")(features)
        return features


class PatchBottleneck(nn.Module):
    """ResNet's bottleneck with an unpadded convolution of any kernel in its middle.

    An unpadded 3×3 loses a row and a column (two at a stride of 1) that the shortcut has; the
    shortcut gives up its last ones, as BagNet's does (Brendel & Bethge, ICLR 2019), from which
    LaDeDa's network is made.
    """

    def __init__(self, inputs: int, width: int, stride: int, kernel: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel, stride=stride, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result = self.relu(self.bn1(self.conv1(features)))
        result = self.relu(self.bn2(self.conv2(result)))
        result = self.bn3(self.conv3(result))
        shortcut = features if self.downsample is None else self.downsample(features)
        result += shortcut[..., : result.shape[-2], : result.shape[-1]]
        return self.relu(result)


def _stage(inputs: int, blocks: int, width: int, stride: int, kernel: int) -> nn.Sequential:
    first = PatchBottleneck(inputs, width, stride, kernel)
    others = (PatchBottleneck(width * EXPANSION, width, 1, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
