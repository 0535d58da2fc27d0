"""ResNet-50 with a low-pass filter before every downsampling."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.fx
from torch import nn
from torch.nn import functional

from genspot.detector.backbones import register_backbone
from genspot.detector.backbones.resnet import resnet


@torch.fx.wrap  # reads the size, which cannot be traced
def reflect_pad(features: torch.Tensor) -> torch.Tensor:
    """Return `features` with one reflected pixel on each side; a side of one pixel is repeated."""
    height, width = features.shape[-2:]
    if min(height, width) > 1:
        return functional.pad(features, (1, 1, 1, 1), mode="reflect")
    wide = functional.pad(features, (1, 1, 0, 0), mode="reflect" if width > 1 else "replicate")
    return functional.pad(wide, (0, 0, 1, 1), mode="reflect" if height > 1 else "replicate")


class BlurPool(nn.Module):
    """Low-pass filter [1, 2, 1] × [1, 2, 1] / 16 with `stride` (Zhang, ICML 2019, section 3)."""

    kernel: torch.Tensor

    def __init__(self, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        # Not part of the state dict, so that ResNet-50's weights fit.
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        channels = features.shape[1]
        kernel = self.kernel.to(features.dtype).expand(channels, 1, 3, 3)
        return functional.conv2d(
            reflect_pad(features), kernel, stride=self.stride, groups=channels
        )


class FilteredConv(nn.Conv2d):
    """A 1×1 convolution behind a `BlurPool` that takes over its stride; the same parameters."""

    def __init__(self, conv: nn.Conv2d, stride: int) -> None:
        super().__init__(conv.in_channels, conv.out_channels, 1, bias=False)
        self.load_state_dict(conv.state_dict())
        self.filter = BlurPool(stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(self.filter(features))


@register_backbone("resnet50_antialiased")
def antialiased_resnet50(weights: str | None = None) -> nn.Module:
    """Return a ResNet-50 in which a low-pass filter precedes every downsampling.

    A strided convolution becomes an unstrided one, then (after its ReLU) a filter that keeps
    every second pixel; likewise the pooling (Zhang, ICML 2019, section 3.2). The state dict has
    ResNet-50's keys.

    Args:
        weights: as of `resnet`.
    """
    network: Any = resnet("resnet50", weights)
    network.conv1.stride = (1, 1)
    network.maxpool = nn.Sequential(BlurPool(), nn.MaxPool2d(3, stride=1, padding=1), BlurPool())
    for layer in (network.layer2, network.layer3, network.layer4):
        block = layer[0]
        block.conv2.stride = (1, 1)
        block.conv3 = FilteredConv(block.conv3, stride=2)
        block.downsample[0] = FilteredConv(block.downsample[0], stride=2)
    return cast(nn.Module, network)
