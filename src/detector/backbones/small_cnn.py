"""A small convolutional network, which trains in seconds on a CPU."""

from __future__ import annotations

from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import register_backbone

MAX_WIDTH = 1024


@register_backbone("small_cnn")
def small_cnn(width: int) -> nn.Module:
    """Return five convolutions of 3 × 3 with batch norm, of which two halve the size.

    Args:
        width: channels of each, from 1 to 1024.

    Raises:
        GenspotError: there is no network of that width.
    """
    if type(width) is not int or not 1 <= width <= MAX_WIDTH:
        raise GenspotError(
            f"model.backbone.width={width}: give a whole number from 1 to {MAX_WIDTH}"
        )
    return nn.Sequential(
        *_convolution(3, width),
        *_convolution(width, width, stride=2),
        *_convolution(width, width),
        *_convolution(width, width, stride=2),
        *_convolution(width, width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 1),
    )


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()
