"""Backbones of a frozen encoder and a head: the head alone is trained, and alone is kept."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.settings import ENCODER_SETTING
from genspot.detector.state_dicts import digest_of


class FrozenEncoder(nn.Module):
    """A network whose weights stay as they are and are no part of a checkpoint.

    Its state dict holds a digest of them instead, so that a head meets no other encoder than the
    one that it was trained with. CLIP's ViT-L/14 has 1.2 GB of weights, its head has 3 KB.

    Args:
        network: with its weights. It is frozen, and always in evaluation mode.

    Raises:
        GenspotError: on loading a state dict with another digest.
    """

    digest: torch.Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        digest = bytearray(digest_of(network.state_dict()))
        self.register_buffer("digest", torch.frombuffer(digest, dtype=torch.uint8))
        self.register_state_dict_post_hook(_drop_weights)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_check_digest)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_allow_missing_weights)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> FrozenEncoder:
        """Set the mode of this module; the network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, *inputs: Any) -> Any:
        return self.network(*inputs)


class FrozenBackbone(nn.Module):
    """A backbone whose logit is that of a small head on the features of a frozen encoder.

    A subclass defines `encode`.

    Args:
        encoder: the frozen encoder.
        head: floats of the features' shape, with N before it, to logits N×1.
        feature_shape: shape of the features of one image.

    Attributes:
        head_settings: names of the settings of the backbone that change its head alone. Features
            that are kept on the disk are shared by backbones that differ in them.
    """

    head_settings: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, encoder: FrozenEncoder, head: nn.Module, feature_shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.feature_shape = encoder, head, feature_shape

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features of normalised `pixels` N×3×H×W, of shape N × `feature_shape`."""
        raise NotImplementedError

    @torch.no_grad()
    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what `encode` gives, in float32 and without a gradient."""
        return self.encode(pixels).float()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits N×1 of normalised `pixels` N×3×H×W."""
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits


def _drop_weights(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    for key in [key for key in state if key.startswith(f"{prefix}network.")]:
        del state[key]


def _check_digest(module: nn.Module, state: dict[str, Any], prefix: str, *others: object) -> None:
    given, own = state.get(f"{prefix}digest"), module.get_buffer("digest")
    if isinstance(given, torch.Tensor) and not torch.equal(given.cpu(), own.cpu()):
        raise GenspotError(
            f"the head was trained on the features of another encoder (digest {_short(given)}) "
            f"than {ENCODER_SETTING} gives here ({_short(own)}): name the file of that "
            f"encoder's weights, model=NAME {ENCODER_SETTING}=FILE"
        )


def _allow_missing_weights(module: nn.Module, incompatible: Any) -> None:
    missing = incompatible.missing_keys
    missing[:] = [key for key in missing if "encoder.network." not in key]


def _short(digest: torch.Tensor) -> str:
    return bytes(digest.cpu().view(-1)[:4].to(torch.uint8).tolist()).hex()
