"""Checkpoints: genspot's own, the published ones, and bare state dicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import nn

from genspot.detector import safe_load as archives
from genspot.detector.metadata import checked, one_line, shown, strange
from genspot.common.errors import GenspotError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # one serves as another

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# Of Wang et al., CVPR 2020, section 4; what a file without a contract is taken to be.
PUBLISHED: dict[str, Any] = {
    "data": "progan_20cls",
    "aug": None,
    "model": {
        "name": "resnet50",
        "network": {"_target_": "genspot.detector.backbones.resnet", "arch": "resnet50", "weights": None},
    },
    "preprocess": {"resize": 256, "crop": 224, **IMAGENET},
}


@dataclass
class Checkpoint:
    """A network's weights and what they expect.

    Attributes:
        path: the file.
        kind: "genspot", "published" (a dict of model, optimizer and total_steps) or "bare".
        contract: data, aug, model and preprocess, as it was trained with; genspot's own also
            study, seed and subset (how many classes of the data were drawn, None: no draw).
        state: the network's state dict.
    """

    path: Path
    kind: str
    contract: dict[str, Any]
    state: dict[str, torch.Tensor]

    def build(self, model: dict[str, Any]) -> nn.Module:
        """The network that `model` (name, network) describes, filled with the weights.

        It builds whatever is described: `settle` says which descriptions may be trusted.

        Raises:
            GenspotError: it cannot be built, or has other parameters than the checkpoint.
        """
        try:
            network: nn.Module = instantiate(model["network"])
            network.state_dict()
        except Exception as error:  # whatever a constructor raises for its arguments
            raise self._misfit(model["name"], f"cannot build it ({one_line(error)})") from error
        self.load_into(network, model["name"])
        return network

    def load_into(self, network: nn.Module, name: str) -> None:
        """Fill `network`, which is a `name`.

        Raises:
            GenspotError: it has other parameters, the first difference is named; or a weight
                is no finite number.
        """
        self.compare(network, name)
        for key, ours in network.state_dict().items():
            if not self.state[key].to(ours.dtype).isfinite().all():
                raise GenspotError(
                    f"checkpoint {self.path} is of no use: {shown(key)} holds NaN or infinity, as "
                    "a training that diverged leaves; take an earlier one"
                )
        network.load_state_dict(self.state)

    def compare(self, network: nn.Module, name: str) -> None:
        """Look for the first difference to `network`, in the order of its layers.

        Raises:
            GenspotError: there is one.
        """
        wanted = network.state_dict()
        for key, ours in wanted.items():
            theirs = self.state.get(key)
            if theirs is None:
                raise self._misfit(name, f"{shown(key)} is missing from it")
            if theirs.shape != ours.shape:
                shapes = f"{tuple(theirs.shape)} instead of {tuple(ours.shape)}"
                raise self._misfit(name, f"{shown(key)} has shape {shapes}")
            if theirs.dtype != ours.dtype and not {theirs.dtype, ours.dtype} <= set(FLOATS):
                raise self._misfit(name, f"{shown(key)} is {theirs.dtype}, not {ours.dtype}")
        for key in self.state:
            if key not in wanted:
                raise self._misfit(name, f"{shown(key)} is only in the checkpoint")

    def _misfit(self, name: str, difference: str) -> GenspotError:
        return GenspotError(
            f"checkpoint {self.path} does not fit {shown(name)}: {difference}; "
            "name the model it was made with (model=… contract=override) or another checkpoint"
        )


def read(path: str | Path | None) -> Checkpoint:
    """The checkpoint at `path`, whichever kind it is; nothing in it is run.

    A published or bare state dict may carry the "module." of DataParallel before every key.

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
    content = archives.load(path)
    if not isinstance(content, dict):
        content = {}
    if "genspot" in content:
        state = _without("network.", content.get("state_dict"))
        contract = checked(content["genspot"], path)
        return Checkpoint(path, "genspot", contract, _weights(state, "state_dict", path))
    if {"model", "optimizer", "total_steps"} <= content.keys():
        state = _without_data_parallel(content["model"])
        return Checkpoint(path, "published", PUBLISHED, _weights(state, "model", path))
    state = _without_data_parallel(content)
    if {"conv1.weight", "fc.weight"} <= state.keys():
        return Checkpoint(path, "bare", PUBLISHED, _weights(state, "it", path))
    raise GenspotError(
        f"checkpoint={path} holds no detector: neither genspot's entries, nor model, optimizer "
        "and total_steps, nor the weights of a ResNet-50"
    )


def _weights(state: Any, key: str, path: Path) -> dict[str, torch.Tensor]:
    """`state`, found under `key`, if it is a state dict."""
    if not isinstance(state, dict) or not state:
        raise GenspotError(f"checkpoint={path} holds no weights: {key} is missing or empty")
    size = path.stat().st_size
    for name, value in state.items():
        if not isinstance(name, str) or not _is_plain(value, size):
            raise GenspotError(
                f"checkpoint={path} holds no weights: {key} has {shown(name)}, which is no plain "
                "tensor with its values; give the state dict of a network"
            )
    return state


def _is_plain(value: Any, size: int) -> bool:
    """Whether `value` is a tensor of at most `size` bytes: one number can stand for any shape."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.numel() * value.element_size() <= size
    )


def _without(prefix: str, state: Any) -> Any:
    """What `state` has under keys that begin with `prefix`, without it."""
    if not isinstance(state, dict):
        return state
    own = {key: value for key, value in state.items() if str(key).startswith(prefix)}
    return {key.removeprefix(prefix): value for key, value in own.items()}


def _without_data_parallel(state: Any) -> Any:
    """`state` without the prefix that DataParallel gives to every key."""
    bare = _without("module.", state)
    return bare if bare and len(bare) == len(state) else state


def settle(
    checkpoint: Checkpoint, wanted: dict[str, Any], typed: list[str], override: bool
) -> dict[str, Any]:
    """The contract to evaluate `checkpoint` under.

    Args:
        checkpoint: with the contract that it was trained under.
        wanted: model and preprocess as the command composed them.
        typed: the command's overrides; what was not typed is the checkpoint's to say.
        override: the user insists on what was typed.

    Raises:
        GenspotError: something typed contradicts the checkpoint, without `override`; or its
            network is not the command's own and more than layers that fit it.
    """
    contract = dict(checkpoint.contract)
    words = [word.split("=")[0].lstrip("+~") for word in typed]
    for part in ("model", "preprocess"):
        theirs, ours = dict(contract[part]), wanted[part]
        whole = part in words
        for key in sorted(theirs.keys() | ours.keys()):
            if not whole and not any(f"{word}.".startswith(f"{part}.{key}.") for word in words):
                continue
            if theirs.get(key) != ours.get(key) and not override:
                raise GenspotError(
                    f"{checkpoint.path} was trained with {part}.{key}={shown(theirs.get(key))}, "
                    f"not {ours.get(key)}; leave {part} out, or insist with contract=override"
                )
            theirs[key] = ours.get(key)
        contract[part] = theirs
    if contract["model"]["network"] != wanted["model"]["network"]:
        _distrust(checkpoint, contract)
    return contract


def _distrust(checkpoint: Checkpoint, contract: dict[str, Any]) -> None:
    """Refuse a network of the checkpoint's own words that is more than layers, or does not fit."""
    crop = contract["preprocess"]["crop"]
    start, mend = (
        f"checkpoint {checkpoint.path} is refused",
        "name the model that it was made with",
    )
    if odd := strange(contract["model"]["network"]):
        raise GenspotError(
            f"{start}: its network names {odd}, and building that could run anything; if you "
            f"trust it, {mend} (model=…)"
        )
    # On this device nothing is stored or computed but shapes: a network of any size costs nothing.
    with torch.device("meta"), torch.inference_mode():
        try:
            network: nn.Module = instantiate(contract["model"]["network"])
            checkpoint.compare(network, contract["model"]["name"])
            answer = str(tuple(network.eval()(torch.zeros(2, 3, crop, crop)).shape))
        except GenspotError:
            raise
        except Exception as error:  # whatever layers raise for what they cannot take
            answer = one_line(error)
    if answer != "(2, 1)":
        raise GenspotError(
            f"{start}: two images of {crop} × {crop} pixels give no two logits of shape (2, 1) "
            f"but {answer}; {mend} (model=…)"
        )
