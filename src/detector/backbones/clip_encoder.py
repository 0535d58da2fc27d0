"""CLIP's image encoder (Radford et al., ICML 2021), frozen, by timm's vision transformers."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from genspot.common.errors import GenspotError
from genspot.detector.backbones.timm_model import create_model
from genspot.detector.frozen import FrozenEncoder
from genspot.detector.settings import ENCODER_SETTING, PRETRAINED
from genspot.detector.state_dicts import find_difference
from genspot.detector.weights_file import read_weights_file

HINT = f"{ENCODER_SETTING}=FILE takes a local file of its weights"
TRANSFORMERS = "vision_model.embeddings.class_embedding"  # a key of Hugging Face's transformers
# Names of transformers and those of timm, in the order in which they are replaced.
NAMES = (
    ("vision_model.embeddings.patch_embedding.", "patch_embed.proj."),
    ("vision_model.pre_layrnorm.", "norm_pre."),  # spelt so
    ("vision_model.post_layernorm.", "norm."),
    ("vision_model.encoder.layers.", "blocks."),
    (".self_attn.out_proj.", ".attn.proj."),
    (".layer_norm1.", ".norm1."),
    (".layer_norm2.", ".norm2."),
)
# Weights that depend on the sizes of images and patches: timm's names and those of others.
SIZED = {
    "pos_embed": (
        "visual.positional_embedding",
        "vision_model.embeddings.position_embedding.weight",
    ),
    "patch_embed.proj.weight": (
        "visual.conv1.weight",
        "vision_model.embeddings.patch_embedding.weight",
    ),
}
QUERY = re.compile(r"(blocks\.\d+)\.self_attn\.q_proj\.(weight|bias)")


def clip_encoder(arch: str, encoder_weights: str, model: str) -> FrozenEncoder:
    """Return timm's vision transformer `arch` with its weights; the embedding is its output.

    It is read once per process, and shared: nothing changes it.

    Args:
        arch: a vision transformer of timm with a class token, such as
            "vit_large_patch14_clip_quickgelu_224.openai".
        encoder_weights: "pretrained" (timm downloads them from the Hugging Face hub, once), or a
            file with OpenAI's, open_clip's, transformers' or timm's names.
        model: which needs it, for messages.

    Raises:
        GenspotError: timm is not installed or has no such transformer; the weights cannot be had
            or are not those of `arch`.
    """
    if not isinstance(encoder_weights, str) or not encoder_weights:
        raise GenspotError(
            f"{ENCODER_SETTING}={encoder_weights}: a frozen encoder needs weights; give "
            "pretrained, or a file of them"
        )
    stamp = None
    if encoder_weights != PRETRAINED:
        if not (path := Path(encoder_weights)).is_file():
            raise GenspotError(f"{ENCODER_SETTING}={path}: no such file; {HINT}")
        stamp = path.stat().st_mtime_ns, path.stat().st_size
    return _load(str(arch), encoder_weights, model, stamp)


@lru_cache(maxsize=1)
def _load(arch: str, weights: str, model: str, stamp: object) -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):  # the head's weights do not depend on this draw
        network: Any = create_model(
            arch, model, "model.backbone.arch", HINT, pretrained=weights == PRETRAINED
        )
    if getattr(network, "cls_token", None) is None or not network.num_classes:
        raise GenspotError(
            f"model.backbone.arch={arch} is no vision transformer with a class token and an image "
            "embedding; CLIP's are vit_*_clip_*"
        )
    if weights != PRETRAINED:
        _load_file(network, weights, arch)
    return FrozenEncoder(network)


def _load_file(network: Any, file: str, arch: str) -> None:
    from timm.models.vision_transformer import checkpoint_filter_fn

    state = read_weights_file(file, ENCODER_SETTING).backbone_state()
    expected = network.state_dict()
    difference = _other_size(state, expected)
    if not difference:
        if TRANSFORMERS in state:
            state = _from_transformers(state)
        else:  # OpenAI's and open_clip's names; timm's stay
            state = checkpoint_filter_fn(state, network)
        state = {key: value for key, value in state.items() if key in expected}
        difference = find_difference(expected, state)
    if difference:
        raise GenspotError(f"{ENCODER_SETTING}={file} does not fit {arch}: {difference}; {HINT}")
    network.load_state_dict(state)


def _other_size(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> str | None:
    """Return which weight belongs to another size of images or patches, or None.

    timm would resample it, which gives another encoder.
    """
    for own, names in SIZED.items():
        for key in (own, *names):
            found = state[key].shape[-2:] if key in state else expected[own].shape[-2:]
            if found != expected[own].shape[-2:]:
                sizes = f"{tuple(found)} instead of {tuple(expected[own].shape[-2:])}"
                return f"the last sides of {key} are {sizes}"
    return None


def _from_transformers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return `state`, with the names of Hugging Face's transformers, with timm's.

    There the query, key and value of an attention have weights of their own.
    """
    found: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        for name, own in NAMES:
            key = key.replace(name, own)
        found[key] = value
    found["cls_token"] = found[TRANSFORMERS].view(1, 1, -1)
    if (places := found.get("vision_model.embeddings.position_embedding.weight")) is not None:
        found["pos_embed"] = places.unsqueeze(0)
    if (projection := found.get("visual_projection.weight")) is not None:
        found["head.weight"], found["head.bias"] = projection, torch.zeros(len(projection))
    for key in [key for key in found if QUERY.fullmatch(key)]:
        parts = [found.get(key.replace("q_proj", f"{name}_proj")) for name in "qkv"]
        present = [part for part in parts if part is not None]
        found[QUERY.sub(r"\1.attn.qkv.\2", key)] = torch.cat(present)
    return found
