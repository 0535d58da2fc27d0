"""Weights of a whole network that a training starts from: `model.weights`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from genspot.common.errors import GenspotError
from genspot.common.text import safe_repr
from genspot.detector.network import DetectorNetwork, find_head
from genspot.detector.settings import ModelSettings
from genspot.detector.state_dicts import find_difference, shown_key
from genspot.detector.weights_file import read_weights_file

log = logging.getLogger(__name__)

SETTING = "model.weights"


def load_initial_weights(
    network: DetectorNetwork, model: ModelSettings, path: str | Path
) -> list[str]:
    """Load the weights at `path`, of any file that `checkpoint=` takes or of a part of it.

    The head is kept if it fits. Otherwise it stays as it was drawn; so does an input
    representation that the file has nothing of. A warning says where genspot
    trained the weights with another input representation.

    Args:
        network: is changed.
        model: its settings.
        path: of a file that `read_weights_file` reads.

    Returns:
        The names of the weights and statistics that are not from the file, as in the network.

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
    if file.input is not None and file.input != model.input:
        log.warning(
            "%s=%s learned from model.input=%s, and this training gives it %s",
            *(SETTING, file.path, safe_repr(file.input), safe_repr(model.input)),
        )
    return [shown_key(key) for key in new]


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
