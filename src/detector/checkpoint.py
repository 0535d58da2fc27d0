"""Checkpoints: genspot's own, the published ones, and bare state dicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genspot.common.errors import GenspotError
from genspot.detector.metadata import PUBLISHED, Metadata
from genspot.detector.network import DetectorNetwork
from genspot.detector.safe_load import safe_load
from genspot.detector.settings import safe_repr

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
            GenspotError: it has other parameters (the first difference in the order of its layers
                is named), or a weight is not a finite number.
        """
        self.check_compatible(network, name)
        for key, value in network.state_dict().items():
            if not self.state[key].to(value.dtype).isfinite().all():
                raise GenspotError(
                    f"checkpoint {self.path} is of no use: {safe_repr(key)} holds NaN or "
                    "infinity, as a training that diverged leaves; take an earlier one"
                )
        network.load_state_dict(self.state)

    def check_compatible(self, network: DetectorNetwork, name: str) -> None:
        """Compare keys, shapes and types of the weights with those of `network`.

        Raises:
            GenspotError: there is a difference; the first one is named.
        """
        expected = network.state_dict()
        for key, value in expected.items():
            label, loaded = safe_repr(key.removeprefix("backbone.")), self.state.get(key)
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

    The keys of a published or bare state dict may all begin with DataParallel's "module.".

    Raises:
        GenspotError: there is none, it is no checkpoint of a detector, or it is damaged.
    """
    if path is None:
        raise GenspotError("this task needs checkpoint=PATH; training leaves one as best.ckpt")
    path = Path(str(path)).expanduser()
    if path.is_dir():
        raise GenspotError(f"checkpoint={path} is a folder: name the file, such as best.ckpt")
    if not path.is_file():
        raise GenspotError(f"checkpoint={path}: no such file; training leaves one as best.ckpt")
    content = safe_load(path)
    if not isinstance(content, dict):
        content = {}
    if "genspot" in content:
        metadata = Metadata.from_dict(content["genspot"], path)
        state = _select("network.", _check_weights(content.get("state_dict"), "state_dict", path))
        return Checkpoint(path, "genspot", metadata, state)
    if {"model", "optimizer", "total_steps"} <= content.keys():
        weights = _check_weights(content["model"], "model", path)
        return Checkpoint(path, "published", PUBLISHED, _as_backbone(weights))
    state = _as_backbone(content)
    if {"backbone.conv1.weight", "backbone.fc.weight"} <= state.keys():
        _check_weights(content, "it", path)
        return Checkpoint(path, "bare", PUBLISHED, state)
    raise GenspotError(
        f"checkpoint={path} holds no detector: neither genspot's entries, nor model, optimizer "
        "and total_steps, nor the weights of a ResNet-50"
    )


def _check_weights(state: Any, key: str, path: Path) -> dict[str, torch.Tensor]:
    """Return `state`, found under `key`, if it is a state dict."""
    if not isinstance(state, dict) or not state:
        raise GenspotError(f"checkpoint={path} holds no weights: {key} is missing or empty")
    size = path.stat().st_size
    for name, value in state.items():
        if not isinstance(name, str) or not _is_plain_tensor(value, size):
            raise GenspotError(
                f"checkpoint={path} holds no weights: {key} has {safe_repr(name)}, which is no "
                "plain tensor with its values; give the state dict of a network"
            )
    return state


def _is_plain_tensor(value: Any, size: int) -> bool:
    """Return whether `value` is a tensor of at most `size` bytes: one number can stand for any
    shape, which would fill the memory."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.numel() * value.element_size() <= size
    )


def _select(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return what `state` has under keys that begin with `prefix`, without it."""
    keys = [key for key in state if str(key).startswith(prefix)]
    return {key.removeprefix(prefix): state[key] for key in keys}


def _as_backbone(state: dict[str, Any]) -> dict[str, Any]:
    """Return a bare network's state dict as that of a `DetectorNetwork`'s backbone."""
    bare = _select("module.", state)
    return {f"backbone.{key}": value for key, value in (bare or state).items()}
