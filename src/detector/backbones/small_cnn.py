"""A small convolutional network, which trains in seconds on a CPU."""

from __future__ import annotations

from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import register_backbone

MAX_WIDTH = 1024


@register_backbone("small_cnn")
def small_cnn(width: int) -> nn.Module:
    """Return three convolutions of 3 × 3, each with batch norm, and a mean over the image.

    Dropout before the last layer keeps the logit from resting on a single trace, so that trainings
    with other seeds differ less.

    Args:
        width: channels of the first convolution, from 1 to 1024; the next have two and four times
            as many, at half and at a quarter of the size.

    Raises:
        GenspotError: there is no network of that width.
    """
    if type(width) is not int or not 1 <= width <= MAX_WIDTH:
        raise GenspotError(
            f"model.backbone.width={width}: give a whole number from 1 to {MAX_WIDTH}"
        )
    return nn.Sequential(
        *convolution(3, width),
        *convolution(width, 2 * width, stride=2),
        nn.AvgPool2d(2, ceil_mode=True),
        *convolution(2 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * width, 1),
    )


def convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """Return a convolution of 3 × 3 from `inputs` to `outputs` channels, with its batch norm."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()
