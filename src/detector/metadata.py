"""What a checkpoint says of itself: data of a stranger's, checked before anything is made of it.

Read with weights_only=True a file runs nothing. But its contract names what to build and which
study to compose, and Hydra would build anything that a name leads to.
"""

from __future__ import annotations

import math
import re
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torchvision
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from genspot.common.errors import GenspotError

BACKBONES = ("genspot.detector.backbones.resnet", "genspot.detector.backbones.antialiased_resnet50")
ROOTS = ("torch.nn.", "torchvision.models.")
# More than any network's description needs; a list that holds itself has no end.
MOST, DEEPEST, LONGEST = 10_000, 30, 1_000
LARGEST = 10_000  # pixels: test images smaller than the crop are filled up to it


def checked(contract: Any, path: Path) -> dict[str, Any]:
    """`contract`, which has the form that genspot's checkpoints have.

    Raises:
        GenspotError: it has not; the first fault is named.
    """
    if fault := next(_faults(contract), None):
        raise GenspotError(
            f"checkpoint={path} does not say what it expects as genspot's do: {fault}; take the "
            "best.ckpt that a training left, or the network's state dict alone"
        )
    return contract


def choice(contract: dict[str, Any], key: str) -> str:
    """The override that composes the checkpoint's own data or study, by the name of its file.

    Raises:
        GenspotError: it is no name; as a path it would lead Hydra out of conf/.
    """
    group, name = {"study": "experiments"}.get(key, key), str(contract[key])
    if not re.fullmatch(r"\w[\w.+ -]*", name):
        raise GenspotError(
            f"the checkpoint names {group}={shown(name)}, which is no file of {group}; say "
            f"{group}=NAME"
        )
    return f"{group}='{name}'"


def strange(network: dict[str, Any]) -> str | None:
    """The first thing in the description `network` that could do more than build layers.

    Layers are genspot's backbones, modules of torch.nn and torchvision.models, and torchvision's
    classifiers by their names; none of them with weights from elsewhere.
    """
    for place, node in _within(network, "network"):
        if not isinstance(node, dict) or "_target_" not in node:
            continue
        target = node["_target_"]
        if _is_builder(target):
            for key, value in node.items():
                if key == "_args_" or (key.startswith(("weights", "pretrained")) and value):
                    return f"{place}.{key}={shown(value)}"
        elif not _is_layer(target):
            return shown(target)
    return None


def shown(value: Any) -> str:
    """`value` as text for a message of one line, whatever a stranger wrote into it."""
    text = str(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def one_line(error: Exception) -> str:
    """What an exception says, or the one that Hydra wrapped."""
    cause = error.__cause__ or error
    return " ".join(shown(f"{type(cause).__name__}: {cause}".replace("\n", " ")).split())


def _faults(contract: Any) -> Iterator[str]:
    yield from _not_plain(contract)
    if not isinstance(contract, dict):
        yield f"its contract is {shown(contract)}"
    missing = {"data", "aug", "model", "preprocess"} - contract.keys()
    if missing:
        yield f"{min(missing)} is missing"
    model, preprocess = contract["model"], contract["preprocess"]
    for key in ("data", "aug", "study"):
        if not _is_name(contract.get(key)) and (key == "data" or contract.get(key) is not None):
            yield f"{key}={shown(contract[key])} is no name"
    if not isinstance(model, dict) or not _is_name(model.get("name")):
        yield f"model={shown(model)} has no name"
    if not isinstance(model.get("network"), dict) or "_target_" not in model["network"]:
        yield f"model.network={shown(model.get('network'))} names nothing to build"
    if not isinstance(preprocess, dict):
        yield f"preprocess={shown(preprocess)}"
    for key in ("crop", "resize"):
        value = preprocess.get(key)
        if (type(value) is not int or not 1 <= value <= LARGEST) and (
            key == "crop" or value is not None
        ):
            yield f"preprocess.{key}={shown(value)} is no number of pixels"
    for key in ("mean", "std"):
        value = preprocess.get(key)
        if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
            yield f"preprocess.{key}={shown(value)} is not one number for each of three channels"
        if key == "std" and min(value) <= 0:
            yield f"preprocess.std={shown(value)} is not above 0"


def _not_plain(contract: Any) -> Iterator[str]:
    for count, (place, value) in enumerate(_within(contract, "contract")):
        if count >= MOST or place.count("/") > DEEPEST:
            yield "its contract has no end"
        if isinstance(value, dict):
            if not all(isinstance(key, str) and key.isprintable() for key in value):
                yield f"{place} has keys that are no words"
        elif isinstance(value, str):
            # OmegaConf would fill in an interpolation: a variable of the environment, say.
            if "${" in value or value == "???" or len(value) > LONGEST:
                yield f"{place}={shown(value)} is no plain text"
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield f"{place} is no number of 64 bits"
        elif not isinstance(value, list | int | float | None):
            yield f"{place} is a {type(value).__name__}, no plain value"


def _within(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """`value` and everything in it, each with its place; endless where a list holds itself."""
    left = deque([(place, value)])
    while left:
        place, value = left.popleft()
        yield place, value
        if isinstance(value, dict):
            left.extend((f"{place}/{shown(key)}", one) for key, one in value.items())
        elif isinstance(value, list):
            left.extend((f"{place}/{number}", one) for number, one in enumerate(value))


def _is_name(value: Any) -> bool:
    return type(value) in (str, int, float) and str(value).isprintable()


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_builder(target: Any) -> bool:
    """Whether `target` names a function that builds one of the known architectures."""
    if not isinstance(target, str):
        return False
    classifiers = torchvision.models.list_models(module=torchvision.models)
    return target in BACKBONES or (
        target.startswith("torchvision.models.")
        and target.removeprefix("torchvision.models.") in classifiers
    )


def _is_layer(target: Any) -> bool:
    """Whether `target` names a module of torch.nn or torchvision.models; imports nothing."""
    if not isinstance(target, str) or not target.startswith(ROOTS):
        return False
    home, _, name = target.rpartition(".")
    found = getattr(sys.modules.get(home), name, None)
    return (
        isinstance(found, type)
        and issubclass(found, nn.Module)
        and not issubclass(found, LazyModuleMixin)  # has no shapes that a checkpoint could fit
        # What torch.nn merely imported, or lets be reached through its modules, is not its own.
        and f"{found.__module__}.".startswith(ROOTS)
    )
