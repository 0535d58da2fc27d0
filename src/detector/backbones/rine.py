"""RINE: the class tokens of all blocks of CLIP (Koutlis & Papadopoulos, ECCV 2024)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from genspot.common.checks import check_integer
from genspot.detector.backbones import register_backbone
from genspot.detector.backbones.clip_encoder import clip_encoder
from genspot.detector.frozen import FrozenBackbone

DROPOUT = 0.5  # after each layer of a projection (unconfirmed)


class RineHead(nn.Module):
    """From class tokens to a logit.

    Koutlis & Papadopoulos, ECCV 2024 (arXiv 2402.19091), section 3: a first projection of each
    token; their sum over the blocks, each feature weighted by a softmax over the blocks of trained
    scores (the trainable importance estimator); a second projection; a classifier. The number of
    the classifier's layers, 3, and the dropout are unconfirmed.

    Args:
        blocks: of the encoder.
        width: of a token.
        projection: width of the projections.
        layers: of each projection.
    """

    def __init__(self, blocks: int, width: int, projection: int, layers: int) -> None:
        super().__init__()
        self.project_tokens = _projection(width, projection, layers)
        self.importance = nn.Parameter(torch.randn(blocks, projection))
        self.project_sum = _projection(projection, projection, layers)
        self.classifier = nn.Sequential(
            nn.Linear(projection, projection),
            nn.ReLU(),
            nn.Linear(projection, projection),
            nn.ReLU(),
            nn.Linear(projection, 1),
        )

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return what the classifier sees of `tokens`: N×blocks×width to N×projection."""
        weights = self.importance.softmax(dim=0)
        summed = (self.project_tokens(tokens) * weights).sum(dim=1)
        embedded: torch.Tensor = self.project_sum(summed)
        return embedded

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits N×1 of `tokens` N×blocks×width."""
        logits: torch.Tensor = self.classifier(self.embed(tokens))
        return logits


@register_backbone("rine")
class Rine(FrozenBackbone):
    """A `RineHead` on the class tokens of all blocks of a frozen CLIP, before its last norm.

    Args:
        arch: as of `clip_encoder`.
        encoder_weights: as of `clip_encoder`.
        projection: width of the head's projections.
        layers: of each projection.

    Raises:
        GenspotError: see `clip_encoder`; or a number out of range.
    """

    head_settings = ("projection", "layers")

    def __init__(self, arch: str, encoder_weights: str, projection: int, layers: int) -> None:
        check_integer("model.backbone.projection", projection, minimum=1, maximum=8192)
        check_integer("model.backbone.layers", layers, minimum=1, maximum=16)
        encoder = clip_encoder(arch, encoder_weights, "model=rine")
        network: Any = encoder.network
        shape = len(network.blocks), int(network.embed_dim)
        super().__init__(encoder, RineHead(*shape, projection, layers), shape)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the class tokens N×blocks×width of normalised `pixels` N×3×H×W."""
        network: Any = self.encoder.network
        found = network.forward_intermediates(
            pixels, return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True
        )
        return torch.stack([first[:, 0] for _, first in found], dim=1)


def _projection(width: int, projection: int, layers: int) -> nn.Sequential:
    widths = [width, *[projection] * layers]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*parts)
