"""Any model of timm (Wightman, PyTorch Image Models)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from torch import nn

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.detector.backbones import register_backbone
from genspot.detector.initial_weights import HINT, load_body, load_state_dict


@register_backbone("timm")
def timm_model(arch: str, weights: str | None = None) -> nn.Module:
    """Return timm's model `arch` with one logit.

    Args:
        arch: a name that timm knows, such as "convnext_tiny".
        weights: "pretrained" (timm downloads them), the path of a state dict of `arch`, or None
            for random weights. The last layer is always new.

    Raises:
        GenspotError: timm is not installed or does not know `arch`; the weights cannot be had or
            are not those of `arch`.
    """
    try:
        import timm
    except ImportError as error:
        raise missing_extra("model=timm", "timm", "timm") from error
    # Other forms, such as hf-hub:…, would download what a checkpoint names.
    if not timm.is_model(str(arch)):
        near = timm.list_models(f"*{str(arch).split('.')[0]}*")[:8]
        hint = f"; similar: {', '.join(near)}" if near else ""
        raise GenspotError(f"model.arch={arch}: timm {timm.__version__} has no such model{hint}")
    try:
        network: Any = timm.create_model(
            str(arch), pretrained=weights == "pretrained", num_classes=1
        )
    except Exception as error:  # the network, the disk, or no such weights
        reason = " ".join(str(error).split())
        raise GenspotError(f"timm cannot build {arch} ({reason}); {HINT}") from error
    if weights is not None and weights != "pretrained":
        head = {id(value) for value in network.get_classifier().parameters()}
        keys = [key for key, value in network.named_parameters() if id(value) in head]
        load_body(network, load_state_dict(Path(str(weights))), keys, f"{weights} for {arch}")
    return cast(nn.Module, network)
