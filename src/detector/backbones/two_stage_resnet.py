"""ResNet-50's first two stages behind a small stem: the network of NPR and of SAFE."""

from __future__ import annotations

import torch
from torch import nn

from genspot.detector.backbones import register_backbone
from genspot.detector.backbones.residual import Bottleneck


@register_backbone("two_stage_resnet50")
class TwoStageResNet50(nn.Module):
    """A stem, three bottlenecks of width 64, four of width 128, a mean over the image, one logit.

    Tan et al., CVPR 2024 (NPR), and Li et al., KDD 2025 (SAFE). 1,437,761 parameters. The names
    of the parameters are those of their published files; SAFE's has two logits, of which the
    difference is the logit here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, width=64, blocks=3, stride=1)
        self.layer2 = _stage(256, width=128, blocks=4, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Linear(512, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits N×1 of floats N×3×H×W."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(features))))
        features = self.avgpool(self.layer2(self.layer1(features)))
        logits: torch.Tensor = self.fc1(features.flatten(1))
        return logits


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    outputs = width * Bottleneck.expansion
    shortcut = nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
    )
    first = Bottleneck(inputs, width, stride, shortcut)
    return nn.Sequential(first, *(Bottleneck(outputs, width) for _ in range(blocks - 1)))
