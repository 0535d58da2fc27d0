"""torchvision's ResNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import register_backbone
from genspot.detector.backbones.residual import ARCHITECTURES, ResNet
from genspot.detector.initial_weights import HINT, load_body, load_state_dict

HEAD = ("fc.weight", "fc.bias")


@register_backbone("resnet")
def resnet(arch: str, weights: str | None = None) -> nn.Module:
    """Return torchvision's ResNet `arch` with one logit; the head starts from N(0, 0.02).

    The initialisation of the head is that of Wang et al., CVPR 2020 (reference settings).

    Args:
        arch: "resnet18", "resnet50" or another ResNet of torchvision.
        weights: "imagenet", the path of a state dict, or None for random weights.

    Raises:
        GenspotError: no such ResNet; the weights cannot be had, or are not those of `arch`.
    """
    if arch not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise GenspotError(f"model.backbone.arch={arch}: no ResNet of torchvision; known: {known}")
    network = ResNet(ARCHITECTURES[arch])
    if weights is not None:
        state = _imagenet(arch) if weights == "imagenet" else load_state_dict(Path(str(weights)))
        load_body(network, state, HEAD, f"{weights} for {arch}")
    network.fc = nn.Linear(network.fc.in_features, 1)
    nn.init.normal_(network.fc.weight, 0.0, 0.02)
    nn.init.zeros_(network.fc.bias)
    return network


def _imagenet(arch: str) -> dict[str, Any]:
    import torchvision  # slow: a prediction does without it

    try:
        # The first version: the second was published two years after the paper.
        weights = torchvision.models.get_model_weights(arch)["IMAGENET1K_V1"]
        return dict(weights.get_state_dict(check_hash=True))
    except Exception as error:  # the network, the disk, or no such weights
        raise GenspotError(
            f"cannot get the ImageNet weights of torchvision for {arch} ({error}); {HINT}"
        ) from error
