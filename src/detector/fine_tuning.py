"""Weights of a whole network that a training starts from: `model.weights`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genspot.common.errors import GenspotError
from genspot.detector.network import DetectorNetwork, find_head
from genspot.detector.state_dicts import find_difference, shown_key
from genspot.detector.weights_file import read_weights_file

SETTING = "model.weights"


def load_initial_weights(network: DetectorNetwork, path: str | Path) -> tuple[list[str], Any]:
    """Load the weights at `path`, of any file that `checkpoint=` takes or of a part of it.

    The head is kept if it fits. Otherwise it stays as it was drawn; so does an input
    representation that the file has nothing of.

    Args:
        network: is changed.
        path: of a file that `read_weights_file` reads.

    Returns:
        The names of the weights and statistics that are not from the file, as in the network; and
        the settings of the input representation that genspot trained the file with, or None.

    Raises:
        GenspotError: it is no file of weights, or the other layers do not fit.
    """
    file = read_weights_file(path, SETTING)
    expected = network.state_dict()
    head = _head_keys(network)
    new = [] if _fits(expected, file.state, head) else head
    if not any(key.startswith("input.") for key in file.state):
        new = [*(key for key in expected if key.startswith("input.")), *new]
    kept = {key: value for key, value in expected.items() if key not in new}
    given = {key: value for key, value in file.state.items() if key not in new}
    if difference := find_difference(kept, given):
        raise GenspotError(
            f"{SETTING}={file.path} does not fit the model: {difference} (the file holds "
            f"{file.keys}); choose the model that it was made with, or another file"
        )
    network.load_state_dict(expected | given)
    return [shown_key(key) for key in new], file.input


def _head_keys(network: DetectorNetwork) -> list[str]:
    """Return the names of the weights of the last layer, which may have none that is known."""
    head = find_head(network.backbone)
    names = [name for name, module in network.named_modules() if module is head]
    return [f"{names[0]}.{key}" for key in head.state_dict()] if head else []


def _fits(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], keys: list[str]
) -> bool:
    parts = [{key: state[key] for key in keys if key in state} for state in (expected, found)]
    return find_difference(*parts) is None
