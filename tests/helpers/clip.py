"""A CLIP image encoder in small, with random weights: a vision transformer of the same form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import register_model
from torch import nn

ARCH = "tiny_clip_for_tests"
SIDE = 16  # of its images, of four patches
BLOCKS, WIDTH, EMBEDDING = 3, 16, 12


@register_model
def tiny_clip_for_tests(pretrained: bool = False, **options: Any) -> nn.Module:
    """Return a transformer with CLIP's norm before the first block, activation and embedding."""
    if pretrained:  # as timm says it
        raise RuntimeError(f"No pretrained weights exist for {ARCH}.")
    sizes = {"img_size": SIDE, "patch_size": 8, "embed_dim": WIDTH, "depth": BLOCKS}
    form = {"num_heads": 2, "pre_norm": True, "act_layer": "quick_gelu", "num_classes": EMBEDDING}
    network: nn.Module = timm.create_model("test_vit", **{**sizes, **form, **options})
    return network


@register_model
def tiny_clip_with_gelu(**options: Any) -> nn.Module:
    """Return the same with another activation, as open_clip's transformers have it."""
    return tiny_clip_for_tests(**options, act_layer="gelu")


@register_model
def tiny_clip_of_any_size(**options: Any) -> nn.Module:
    """Return the same for images of any size."""
    return tiny_clip_for_tests(**options, dynamic_img_size=True, dynamic_img_pad=True)


def make_encoder(seed: int = 0) -> nn.Module:
    """Return the transformer with weights that are drawn from `seed`, none zero or one."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = timm.create_model(ARCH)
        for value in network.parameters():
            value += 0.2 * torch.randn(value.shape)
        network.head.bias.zero_()  # CLIP's projection has none
    return network.eval()  # type: ignore[no-any-return]


def save_encoder(path: Path, seed: int = 0) -> Path:
    """Save its weights with timm's names."""
    torch.save(make_encoder(seed).state_dict(), path)
    return path


def clip_overrides(model: str, encoder: Path) -> list[str]:
    """Return the overrides of model=univfd or model=rine on the encoder in a file."""
    return [
        f"model={model}",
        f"model.backbone.arch={ARCH}",
        f"model.backbone.encoder_weights={encoder}",
        f"model.train={{resize: null, crop: {SIDE}}}",
        f"model.test.crop={SIDE}",
    ]
