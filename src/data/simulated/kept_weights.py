"""Weights of simulators that are trained here, kept beside the data sets with their recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import nn

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write

Network = TypeVar("Network", bound=nn.Module)


def save_weights(file: Path, weights: dict[str, torch.Tensor], recipe: dict[str, Any]) -> None:
    """Write the weights of a network and the `recipe` of its training, for JSON, to `file`."""
    with atomic_write(file) as partial:
        # save_file would make a file that its owner alone may read.
        partial.write_bytes(save(weights, {"recipe": json.dumps(recipe)}))


def load_weights(
    file: Path, recipe: dict[str, Any], make: Callable[[], Network], remedy: str
) -> Network:
    """Return a network with the weights in `file`, in evaluation mode, on the CPU.

    Args:
        file: that `save_weights` wrote.
        recipe: that its weights must be of.
        make: returns the network; it draws no weights.
        remedy: what to do where they are of another recipe, in the message.

    Raises:
        GenspotError: the file is damaged or of another recipe.
    """
    with naming_damage(file):
        with safe_open(file, framework="pt") as opened:
            check_recipe(json.loads(opened.metadata()["recipe"]), recipe, file, remedy)
        with torch.device("meta"):
            network = make()
        network.load_state_dict(load_file(file), assign=True)
    return network.eval()


@contextmanager
def naming_damage(file: Path) -> Iterator[None]:
    """Raise GenspotError that names `file` for whatever reading it in the block raises."""
    try:
        yield
    except (GenspotError, MemoryError):
        raise
    except Exception as error:  # PyTorch and safetensors raise nearly anything
        raise GenspotError(
            f"{file} is damaged or of another program: remove it, and it is made again"
        ) from error


def check_recipe(found: Any, recipe: dict[str, Any], file: Path, remedy: str) -> None:
    """Raise GenspotError if what is `found` in `file` is another recipe; see `load_weights`."""
    if found != recipe:
        changed = ", ".join(key for key in recipe if found.get(key) != recipe[key])
        raise GenspotError(f"{file} was trained with other settings ({changed}); {remedy}")
