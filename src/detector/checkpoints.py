"""Checkpoints: genspot's own, the published ones, and bare state dicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from detector.errors import DetectorError

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# Of Wang et al., CVPR 2020, section 4; what a file without a contract is taken to be.
PUBLISHED: dict[str, Any] = {
    "data": "progan_20cls",
    "aug": None,
    "model": {
        "name": "resnet50",
        "network": {"_target_": "detector.backbones.resnet", "arch": "resnet50", "weights": None},
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

    def load_into(self, network: nn.Module, name: str) -> None:
        """Fill `network`, which is a `name`.

        Raises:
            DetectorError: it has other parameters; the first difference is named.
        """
        wanted = network.state_dict()
        for key in sorted(wanted.keys() | self.state.keys()):
            ours, theirs = wanted.get(key), self.state.get(key)
            if ours is None or theirs is None:
                where = "only in the checkpoint" if ours is None else "missing from it"
                raise self._misfit(name, f"{key} is {where}")
            if ours.shape != theirs.shape:
                raise self._misfit(
                    name,
                    f"{key} has shape {tuple(theirs.shape)} instead of {tuple(ours.shape)}",
                )
        network.load_state_dict(self.state)

    def _misfit(self, name: str, difference: str) -> DetectorError:
        return DetectorError(
            f"checkpoint {self.path} does not fit {name}: {difference}; "
            "name the model it was made with (model=… contract=override) or another checkpoint"
        )


def read(path: str | Path | None) -> Checkpoint:
    """The checkpoint at `path`, whichever kind it is.

    Raises:
        DetectorError: there is none, or it is no checkpoint of a detector.
    """
    if path is None:
        raise DetectorError("this task needs checkpoint=PATH; training leaves one as best.ckpt")
    path = Path(str(path)).expanduser()
    if not path.is_file():
        raise DetectorError(f"checkpoint={path}: no such file; training leaves one as best.ckpt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything for a file that is something else
        raise DetectorError(
            f"checkpoint={path} is not a checkpoint that PyTorch can load safely "
            f"({type(error).__name__}); give one of genspot's, or a published .pth"
        ) from error
    if isinstance(content, dict) and "genspot" in content:
        state = {
            key.removeprefix("network."): value
            for key, value in content["state_dict"].items()
            if key.startswith("network.")
        }
        return Checkpoint(path, "genspot", content["genspot"], state)
    if isinstance(content, dict) and {"model", "optimizer", "total_steps"} <= content.keys():
        return Checkpoint(path, "published", PUBLISHED, content["model"])
    if isinstance(content, dict) and {"conv1.weight", "fc.weight"} <= content.keys():
        return Checkpoint(path, "bare", PUBLISHED, content)
    raise DetectorError(
        f"checkpoint={path} holds no detector: neither genspot's entries, nor model, optimizer "
        "and total_steps, nor the weights of a ResNet-50"
    )


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
        DetectorError: something typed contradicts the checkpoint, without `override`.
    """
    contract = dict(checkpoint.contract)
    words = [word.split("=")[0] for word in typed]
    for part in ("model", "preprocess"):
        theirs, ours = dict(contract[part]), wanted[part]
        whole = part in words
        for key in sorted(theirs.keys() | ours.keys()):
            if not whole and not any(f"{word}.".startswith(f"{part}.{key}.") for word in words):
                continue
            if theirs.get(key) != ours.get(key) and not override:
                raise DetectorError(
                    f"{checkpoint.path} was trained with {part}.{key}={theirs.get(key)}, not "
                    f"{ours.get(key)}; leave {part} out, or insist with contract=override"
                )
            theirs[key] = ours.get(key)
        contract[part] = theirs
    return contract
