"""Initial weights of a backbone: all layers but the head, which stays new."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.safe_load import safe_load
from genspot.detector.state_dicts import COUNTER, describe_content, find_fault, find_weights

SETTING = "model.backbone.weights"
HINT = f"{SETTING}=PATH takes a local file, {SETTING}=null trains from scratch"


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in the file of initial weights at `path`.

    What wraps it, and what stands before its keys, is taken off as for a checkpoint.

    Raises:
        GenspotError: no such file, no state dict, or a weight that is not a finite number.
    """
    if not path.is_file():
        found = "not a regular file" if path.exists() else "no such file"
        raise GenspotError(f"{SETTING}={path}: {found}; {HINT}")
    content = safe_load(path, SETTING)
    state = find_weights(content)
    if not state:
        raise GenspotError(
            f"{SETTING}={path} is not a state dict, but {describe_content(content)}; {HINT}"
        )
    if fault := find_fault(state, path.stat().st_size):
        raise GenspotError(f"{SETTING}={path} {fault}; {HINT}")
    return state


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
    body = {key: value for key, value in state.items() if key not in head}
    for key, value in network.state_dict().items():
        if key.endswith(COUNTER) and key not in body:
            continue
        if key not in head and (key not in body or body[key].shape != value.shape):
            raise GenspotError(f"{source} does not fit: {key} differs; {HINT}")
    network.load_state_dict(body, strict=False)
