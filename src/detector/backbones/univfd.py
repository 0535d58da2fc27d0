"""UnivFD: one linear layer on CLIP's image embedding (Ojha, Li & Lee, CVPR 2023)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from genspot.detector.backbones import register_backbone
from genspot.detector.backbones.clip_encoder import clip_encoder
from genspot.detector.frozen import FrozenBackbone


@register_backbone("univfd")
class UnivFD(FrozenBackbone):
    """A linear layer on the image embedding of a frozen CLIP, not normalised.

    Ojha et al., CVPR 2023 (arXiv 2302.10174), the variant with linear probing. Of CLIP's ViT-L/14
    the embedding has 768 numbers, so that 769 parameters are trained.

    Args:
        arch: as of `clip_encoder`.
        encoder_weights: as of `clip_encoder`.

    Raises:
        GenspotError: see `clip_encoder`.
    """

    def __init__(self, arch: str, encoder_weights: str) -> None:
        encoder = clip_encoder(arch, encoder_weights, "model=univfd")
        network: Any = encoder.network
        size = int(network.num_classes)  # timm's word for the size of the output
        super().__init__(encoder, nn.Linear(size, 1), (size,))

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the image embeddings N×D of normalised `pixels` N×3×H×W."""
        embeddings: torch.Tensor = self.encoder(pixels)
        return embeddings
