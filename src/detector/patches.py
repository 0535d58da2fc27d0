"""Backbones that score patches: one logit per place of a map, whose mean is the image's logit."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional


class PatchBackbone(nn.Module):
    """A backbone whose logit is the mean of the logits of patches.

    A subclass defines `patch_features` and gives `fc`, a linear layer with one output. The patch
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

    def patch_features(self, features: torch.Tensor) -> torch.Tensor:
        """Return what `fc` sees of the patches, N×C'×h×w, of `features` N×C×H×W."""
        raise NotImplementedError

    def patch_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits N×h×w of the patches of `features` N×C×H×W."""
        missing = [max(0, self.patch_size - side) for side in features.shape[-2:]]
        padded = functional.pad(features, (0, missing[1], 0, missing[0]))
        logits: torch.Tensor = self.fc(self.patch_features(padded).permute(0, 2, 3, 1))
        return logits.squeeze(3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mean logits N×1 of `features` N×C×H×W."""
        return self.patch_logits(features).mean((1, 2)).unsqueeze(1)


class TransformedPatches(PatchBackbone):
    """A patch backbone whose `patch_features` went through a transformation of torch.fx.

    Args:
        backbone: which is left as it is.
        transform: such as the fusion of batch norms; it returns another module.
    """

    def __init__(
        self, backbone: PatchBackbone, transform: Callable[[nn.Module], nn.Module]
    ) -> None:
        super().__init__(backbone.patch_size, backbone.patch_stride)
        self.transformed, self.fc = transform(_PatchFeatures(backbone)), backbone.fc

    def patch_features(self, features: torch.Tensor) -> torch.Tensor:
        """Return N×C'×h×w of floats N×C×H×W; see `PatchBackbone`."""
        result: torch.Tensor = self.transformed(features)
        return result


class _PatchFeatures(nn.Module):
    """The `patch_features` of a backbone as a module, which torch.fx can trace."""

    def __init__(self, backbone: PatchBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.backbone.patch_features(features)
