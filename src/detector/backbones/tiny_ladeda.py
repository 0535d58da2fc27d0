"""Tiny-LaDeDa: four convolutions that learn a LaDeDa's patch logits."""

from __future__ import annotations

import torch
from torch import nn

from genspot.detector.backbones import register_backbone
from genspot.detector.patches import PatchBackbone


@register_backbone("tiny_ladeda")
class TinyLaDeDa(PatchBackbone):
    """Four convolutions of eight channels and a logit for each place: 1,297 parameters.

    Cavia et al., 2024 (arXiv 2406.09398), section 3: 1×1, 3×3, 1×1, 3×3 with stride 2, linear.
    The source does not say where batch norms and ReLUs are: the number of parameters fits one
    after the second, third and fourth convolution. As no convolution is padded, each place sees
    5×5 pixels, every 2 pixels.
    """

    def __init__(self) -> None:
        super().__init__(patch_size=5, patch_stride=2)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 1, bias=False),
            nn.Conv2d(8, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
        )
        self.fc = nn.Linear(8, 1)

    def patch_features(self, features: torch.Tensor) -> torch.Tensor:
        """Return N×8×h×w of floats N×3×H×W."""
        result: torch.Tensor = self.features(features)
        return result
