"""Checkpoints: genspot's own, the published ones, and bare state dicts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genspot.common.errors import GenspotError
from genspot.common.text import safe_repr
from genspot.detector.metadata import PUBLISHED, Metadata
from genspot.detector.network import DetectorNetwork
from genspot.detector.safe_load import safe_load
from genspot.detector.state_dicts import (
    COUNTER,
    WRAPPERS,
    describe_content,
    find_fault,
    find_weights,
    without_odd_counters,
)

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # converted on loading


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights and what the file says of itself.

    Attributes:
        path: the file.
        kind: "genspot", "published" (a dict of model, optimizer and total_steps) or "bare".
        metadata: as it was trained.
        state: the state dict of a `DetectorNetwork`.
    """

    path: Path
    kind: str
    metadata: Metadata
    state: dict[str, torch.Tensor]

    def load_into(self, network: DetectorNetwork, name: str) -> None:
        """Load the weights into `network`, a model of that `name`.

        Raises:
            GenspotError: it has other parameters; the first difference in the order of its layers
                is named.
        """
        self.check_compatible(network, name)
        network.load_state_dict(network.state_dict() | self.state)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the file in each GenspotError of the block that does not name it."""
        try:
            yield
        except GenspotError as error:
            if str(self.path) in str(error):
                raise
            raise GenspotError(f"checkpoint={self.path}: {error}") from error

    def check_compatible(self, network: DetectorNetwork, name: str) -> None:
        """Compare keys, shapes and types of the weights with those of `network`.

        A `COUNTER` may be missing.

        Raises:
            GenspotError: there is a difference; the first one is named.
        """
        expected = network.state_dict()
        for key, value in expected.items():
            label, loaded = safe_repr(key.removeprefix("backbone.")), self.state.get(key)
            if loaded is None and key.endswith(COUNTER):
                continue
            if loaded is None:
                raise self._mismatch_error(name, f"{label} is missing from it")
            if loaded.shape != value.shape:
                shapes = f"{tuple(loaded.shape)} instead of {tuple(value.shape)}"
                raise self._mismatch_error(name, f"{label} has shape {shapes}")
            if loaded.dtype != value.dtype and not {loaded.dtype, value.dtype} <= set(FLOATS):
                raise self._mismatch_error(name, f"{label} is {loaded.dtype}, not {value.dtype}")
        for key in self.state:
            if key not in expected:
                label = safe_repr(key.removeprefix("backbone."))
                raise self._mismatch_error(name, f"{label} is only in the checkpoint")

    def _mismatch_error(self, name: str, difference: str) -> GenspotError:
        return GenspotError(
            f"checkpoint {self.path} does not fit {safe_repr(name)}: {difference}; name the model "
            "it was made with (model=… allow_mismatch=true) or another checkpoint"
        )


def load_checkpoint(path: str | Path | None) -> Checkpoint:
    """Return the checkpoint at `path`, whichever kind it is; nothing in it is executed.

    Weights of other programs may lie under one of the usual keys, and their own keys may begin
    with what torch.compile, DataParallel or a wrapping class adds (`detector.state_dicts`).

    Raises:
        GenspotError: there is none, it is no checkpoint of a detector, it is damaged, or one of
            its weights is not a finite number of float32.
    """
    if path is None:
        raise GenspotError("this task needs checkpoint=PATH; training leaves one as best.ckpt")
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        raise GenspotError(f"checkpoint={path} is a folder: name the file, such as best.ckpt")
    if not path.is_file():
        fault = "not a regular file" if path.exists() else "no such file"
        raise GenspotError(f"checkpoint={path}: {fault}; training leaves one as best.ckpt")
    content = safe_load(path)
    if isinstance(content, dict) and "genspot" in content:
        metadata = Metadata.from_dict(content["genspot"], path)
        weights = content.get("state_dict")
        if not isinstance(weights, dict) or not weights:
            raise GenspotError(
                f"checkpoint={path} holds no weights: state_dict is missing or empty"
            )
        weights = without_odd_counters(weights)
        _check_weights(weights, path)
        state = _select("network.", weights)
        return Checkpoint(path, "genspot", metadata, state)
    weights = find_weights(content)
    if not {"conv1.weight", "fc.weight"} <= weights.keys():
        raise GenspotError(
            f"checkpoint={path} holds no detector, but {describe_content(content)}; expected are "
            "genspot's own entries, or the weights of a ResNet (conv1.weight to fc.bias), alone "
            f"or under {', '.join(WRAPPERS[:5])}"
        )
    _check_weights(weights, path)
    published = {"model", "optimizer", "total_steps"} <= content.keys()
    state = {f"backbone.{key}": value for key, value in weights.items()}
    return Checkpoint(path, "published" if published else "bare", PUBLISHED, state)


def _check_weights(state: dict[Any, Any], path: Path) -> None:
    if fault := find_fault(state, path.stat().st_size):
        raise GenspotError(f"checkpoint={path} {fault}")


def _select(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return what `state` has under keys that begin with `prefix`, without it."""
    keys = [key for key in state if str(key).startswith(prefix)]
    return {key.removeprefix(prefix): state[key] for key in keys}
