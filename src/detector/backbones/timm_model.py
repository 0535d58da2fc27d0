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
    options = {"pretrained": weights == "pretrained", "num_classes": 1}
    network: Any = create_model(arch, "model=timm", "model.arch", HINT, **options)
    if weights is not None and weights != "pretrained":
        head = {id(value) for value in network.get_classifier().parameters()}
        keys = [key for key, value in network.named_parameters() if id(value) in head]
        load_body(network, load_state_dict(Path(str(weights))), keys, f"{weights} for {arch}")
    return cast(nn.Module, network)


def create_model(arch: str, model: str, setting: str, hint: str, **options: Any) -> nn.Module:
    """Return timm's model `arch`, made with `options`.

    Args:
        arch: a name that timm knows.
        model: the choice that needs timm, for messages.
        setting: which names `arch`.
        hint: what to do if its weights cannot be had.
        options: of `timm.create_model`.

    Raises:
        GenspotError: timm is not installed or does not know `arch`; the weights cannot be had.
    """
    try:
        import timm
    except ImportError as error:
        raise missing_extra(model, "timm", "timm") from error
    # Other forms, such as hf-hub:…, would download what a checkpoint names.
    if not timm.is_model(str(arch)):
        near = timm.list_models(f"*{str(arch).split('.')[0]}*")[:8]
        similar = f"; similar: {', '.join(near)}" if near else ""
        raise GenspotError(f"{setting}={arch}: timm {timm.__version__} has no such model{similar}")
    try:
        return timm.create_model(str(arch), **options)
    except Exception as error:  # the network, the disk, or no such weights
        reason = " ".join(str(error).split())
        raise GenspotError(f"timm cannot build {arch} ({reason}); {hint}") from error
