"""Backbones that score patches: one logit per place of a map, whose mean is the image's logit."""

from __future__ import annotations

import torch
import torch.fx
from torch import nn
from torch.nn import functional


@torch.fx.wrap  # reads the size, which cannot be traced
def pad_to_patch(features: torch.Tensor, size: int) -> torch.Tensor:
    """Return `features` with zeros on the right and below, so that no side is less than `size`."""
    height, width = features.shape[-2:]
    if min(height, width) >= size:
        return features
    return functional.pad(features, (0, max(0, size - width), 0, max(0, size - height)))


class PatchBackbone(nn.Module):
    """A backbone whose logit is the mean of the logits of patches.

    A subclass defines `describe_patches` and gives `fc`, a linear layer with one output. The patch
    of row i and column j of the map has its top left corner at row `patch_stride` × i and column
    `patch_stride` × j of the features; features below one patch are padded with zeros.

    Args:
        patch_size: side of a patch in pixels of the features: the receptive field.
        patch_stride: distance of neighbouring patches in pixels.
    """

    fc: nn.Linear

    def __init__(self, patch_size: int, patch_stride: int) -> None:
        super().__init__()
        self.patch_size, self.patch_stride = patch_size, patch_stride

    def describe_patches(self, features: torch.Tensor) -> torch.Tensor:
        """Return what `fc` sees of the patches, N×C'×h×w, of `features` N×C×H×W."""
        raise NotImplementedError

    def patch_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits N×h×w of the patches of `features` N×C×H×W."""
        described = self.describe_patches(pad_to_patch(features, self.patch_size))
        logits: torch.Tensor = self.fc(described.permute(0, 2, 3, 1))
        return logits.squeeze(3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mean logits N×1 of `features` N×C×H×W."""
        return self.patch_logits(features).mean((1, 2)).unsqueeze(1)
