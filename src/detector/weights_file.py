"""Files of weights, of genspot or other programs: one reader for all settings that name one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genspot.common.errors import GenspotError
from genspot.detector.published_files import PublishedFile, find_published_file
from genspot.detector.safe_load import ABOUT, STATE, safe_load
from genspot.detector.state_dicts import (
    WRAPPERS,
    describe_content,
    find_fault,
    find_weights,
    without_odd_counters,
)


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        path: the file.
        about: what genspot wrote of its training, not checked; None in files of other programs.
        published: the published form that a file of another program has; None: none that is known.
        state: of a `DetectorNetwork`: finite tensors by names that begin with `backbone.` or
            `input.`. Of another program's file, with one logit where its form is known.
        keys: the names in the file, shortened, for messages.
    """

    path: Path
    about: Any
    published: PublishedFile | None
    state: dict[str, torch.Tensor]
    keys: str

    @property
    def input(self) -> Any:
        """Settings of the input representation of genspot's training; None: of another program."""
        model = self.about.get("model") if isinstance(self.about, dict) else None
        return model.get("input") if isinstance(model, dict) else None

    def backbone_state(self) -> dict[str, torch.Tensor]:
        """Return the state dict of the backbone."""
        return _select("backbone.", self.state)


def read_weights_file(path: str | Path, setting: str) -> WeightsFile:
    """Return the weights at `path`, whichever program saved them; nothing in it is executed.

    Weights of other programs may lie under one of the usual keys, and their own keys may begin
    with what torch.compile, DataParallel or a wrapping class adds (`detector.state_dicts`).

    Args:
        path: a file of torch.save or of safetensors.
        setting: named in messages as the setting that gave the path.

    Raises:
        GenspotError: there is none, it is damaged, it holds no weights, or one of them is not a
            finite number of float32.
    """
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        raise GenspotError(f"{setting}={path} is a folder: name the file, such as best.ckpt")
    if not path.is_file():
        fault = "not a regular file" if path.exists() else "no such file"
        raise GenspotError(
            f"{setting}={path}: {fault}; training leaves one as best.ckpt, and {setting}=embedded "
            "is the one that ships"
        )
    content = safe_load(path, setting)
    keys = describe_content(content)
    if isinstance(content, dict) and ABOUT in content:
        weights = content.get(STATE)
        if not isinstance(weights, dict) or not weights:
            raise GenspotError(
                f"{setting}={path} holds no weights: state_dict is missing or empty"
            )
        weights = without_odd_counters(weights)
        _check(weights, path, setting)
        return WeightsFile(path, content[ABOUT], None, _select("network.", weights), keys)
    weights = find_weights(content)
    if not weights:
        raise GenspotError(
            f"{setting}={path} holds no weights, but {keys}; expected is a checkpoint of genspot, "
            f"or the state dict of a network, alone or under {', '.join(WRAPPERS[:5])}"
        )
    _check(weights, path, setting)
    published = find_published_file(weights)
    if published and published.two_logits:
        weights = published.with_one_logit(weights)
    state = {f"backbone.{key}": value for key, value in weights.items()}
    return WeightsFile(path, None, published, state, keys)


def _check(state: dict[Any, Any], path: Path, setting: str) -> None:
    if fault := find_fault(state, path.stat().st_size):
        raise GenspotError(f"{setting}={path} {fault}")


def _select(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return what `state` has under keys that begin with `prefix`, without it."""
    keys = [key for key in state if str(key).startswith(prefix)]
    return {key.removeprefix(prefix): state[key] for key in keys}
