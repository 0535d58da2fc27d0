"""Initial weights of a backbone: all layers but the head, which stays new."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.state_dicts import find_difference
from genspot.detector.weights_file import read_weights_file

SETTING = "model.backbone.weights"
HINT = f"{SETTING}=PATH takes a local file, {SETTING}=null trains from scratch"


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of a backbone in the file of initial weights at `path`.

    Raises:
        GenspotError: see `read_weights_file`.
    """
    try:
        return read_weights_file(path, SETTING).backbone_state()
    except GenspotError as error:
        raise GenspotError(f"{error}; {HINT}") from error


def load_body(
    network: nn.Module, state: dict[str, torch.Tensor], head: Collection[str], source: str
) -> None:
    """Load `state` into all layers of `network` but the head.

    Args:
        network: a backbone.
        state: with its keys; those of the head may have another shape, or be missing.
        head: keys of the head.
        source: where `state` is from and what for, for messages.

    Raises:
        GenspotError: a key is missing, or has another shape.
    """
    expected = {key: value for key, value in network.state_dict().items() if key not in head}
    body = {key: value for key, value in state.items() if key in expected}
    if difference := find_difference(expected, body):
        raise GenspotError(f"{source} does not fit: {difference}; {HINT}")
    network.load_state_dict(body, strict=False)
