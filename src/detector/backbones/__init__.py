"""Networks with one logit, built by the files of conf/model/."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import torch
import torch.fx
import torchvision
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from genspot.detector import safe_load as archives
from genspot.common.errors import GenspotError

log = logging.getLogger(__name__)


def resnet(arch: str, weights: str | None = None) -> nn.Module:
    """torchvision's ResNet `arch` with one logit; its last layer starts from N(0, 0.02).

    Args:
        arch: "resnet18", "resnet50" or another ResNet of torchvision.
        weights: "imagenet", the path of a state dict, or None for random weights.

    Raises:
        GenspotError: the weights cannot be had, or are not those of `arch`.
    """
    network = cast(nn.Module, torchvision.models.get_model(arch, weights=None))
    if weights is not None:
        _load(network, arch, weights)
    network.fc = nn.Linear(cast(nn.Linear, network.fc).in_features, 1)
    nn.init.normal_(network.fc.weight, 0.0, 0.02)
    nn.init.zeros_(network.fc.bias)
    return network


def _load(network: nn.Module, arch: str, weights: str) -> None:
    """Fill `network` but for its last layer, which is about to be replaced."""
    mend = "model.weights=PATH takes a local file, model.weights=null starts from scratch"
    if weights != "imagenet" and not Path(weights).is_file():
        raise GenspotError(f"model.weights={weights}: no such file; {mend}")
    try:
        if weights == "imagenet":
            # The first version: the second came two years after the paper.
            state = torchvision.models.get_model_weights(arch)["IMAGENET1K_V1"].get_state_dict()
        else:
            state = archives.load(Path(weights), "model.weights")
    except GenspotError:
        raise
    except Exception as error:  # the network or the disk
        raise GenspotError(
            f"cannot get the ImageNet weights of torchvision for {arch} ({error}); {mend}"
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(one, torch.Tensor) for one in state.values()
    ):
        raise GenspotError(f"model.weights={weights} is no state dict; {mend}")
    body = {key: value for key, value in state.items() if not key.startswith("fc.")}
    wanted = {key: value for key, value in network.state_dict().items() if key[:3] != "fc."}
    for key, value in wanted.items():
        if key not in body or body[key].shape != value.shape:
            raise GenspotError(f"{weights} holds no weights of {arch}: {key} differs; {mend}")
    network.load_state_dict(body, strict=False)


@torch.fx.wrap  # asks for the size, which cannot be traced
def mirrored(features: torch.Tensor) -> torch.Tensor:
    """`features` with a pixel more on each side, mirrored at the edge; of one pixel, repeated."""
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
        return functional.conv2d(mirrored(features), kernel, stride=self.stride, groups=channels)


class FilteredConv(nn.Conv2d):
    """A convolution behind a `BlurPool` that takes over its stride; the same parameters."""

    def __init__(self, conv: nn.Conv2d, stride: int) -> None:
        super().__init__(conv.in_channels, conv.out_channels, 1, bias=False)
        self.load_state_dict(conv.state_dict())
        self.filter = BlurPool(stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(self.filter(features))


def antialiased_resnet50(weights: str | None = None) -> nn.Module:
    """ResNet-50 in which every downsampling first filters out what it would fold over.

    A strided convolution becomes an unstrided one, then (after its ReLU) a filter that keeps
    every second pixel; likewise the pooling (Zhang, ICML 2019, section 3.2). The state dict has
    ResNet-50's keys.
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


def folded(network: nn.Module) -> nn.Module:
    """A copy of `network` for evaluation, each batch norm folded into the convolution before it.

    In exact arithmetic the same function; in float32 logits move by about 1e-6 of their size.
    A network that torch.fx cannot trace is returned as it is.
    """
    try:
        return fuse(network.eval())
    except Exception as error:  # tracing runs the model's own code, which can raise anything
        log.info("batch norms are not folded (%s): evaluation is slower", error)
        return network
