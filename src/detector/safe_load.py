"""Load files of weights from anybody: nothing in them is executed, and damage is found."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from argparse import Namespace  # of a command line, which many trainings save: plain attributes
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from genspot.common.errors import GenspotError
from genspot.common.text import safe_repr
from genspot.detector.file_kinds import find_other_kind, is_safetensors

ABOUT, STATE = "genspot", "state_dict"  # keys of a checkpoint: its metadata, its weights


def safe_load(path: Path, setting: str = "checkpoint") -> Any:
    """Return what torch.save or safetensors wrote to `path`: tensors, plain values, on the CPU.

    A file of `save_safetensors` is returned in the form of a checkpoint: a dict of `ABOUT` and
    `STATE`.

    Args:
        path: the file.
        setting: named in messages as the setting that gave the path.

    Raises:
        GenspotError: it is damaged, something else, or would execute code.
    """
    if is_safetensors(path):
        try:
            return _load_safetensors(path)
        # KeyError: a type that PyTorch lacks; the others: metadata that are no JSON.
        except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
            raise GenspotError(
                f"{setting}={path} is a damaged safetensors file ({safe_repr(error)}); copy or "
                "download it again"
            ) from error
    if kind := find_other_kind(path):
        raise GenspotError(f"{setting}={path} {kind}")
    if fault := find_corruption(path):
        raise GenspotError(f"{setting}={path} {fault}; copy or download it again")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):
            warnings.simplefilter("ignore")  # the errors below say the same in one line
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything for a file that is something else
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise GenspotError(
                f"{setting}={path} is refused: loading it would call {safe_repr(code[1])}, and so "
                "could execute anything; ask for the weights alone, as "
                "torch.save(model.state_dict(), FILE) leaves them"
            ) from error
        raise GenspotError(
            f"{setting}={path} is damaged or of another program: give a checkpoint of "
            "genspot, or the weights alone, as torch.save(model.state_dict(), FILE) leaves them"
        ) from error


def _load_safetensors(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    state: dict[str, Any] = load_file(path)
    return {ABOUT: json.loads(metadata[ABOUT]), STATE: state} if ABOUT in metadata else state


def save_safetensors(about: dict[str, Any], state: dict[str, torch.Tensor], path: Path) -> None:
    """Write a checkpoint to `path` as safetensors: weights, and metadata as JSON in its header.

    Args:
        about: plain values.
        state: tensors, which keep their types and bits; those that share memory are written apart.
        path: of the file.
    """
    apart = {
        key: value.clone(memory_format=torch.contiguous_format) for key, value in state.items()
    }
    # One entry alone: safetensors writes several in any order, so that equal files would differ.
    path.write_bytes(save(apart, {ABOUT: json.dumps(about, allow_nan=False)}))


def find_corruption(path: Path) -> str | None:
    """Return what is wrong with the file, or None; PyTorch does not check.

    It takes 0.2 s for the 280 MB of a ResNet-50 with its optimizer.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start != b"PK\x03\x04":  # PyTorch's older format, or something else
            return None if start else "is empty"
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # PyTorch stores without compression: what unpacks to more would fill the memory.
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                return "would unpack to more than it holds"
            if not any(entry.CRC for entry in entries):  # saved without checksums
                return None
            wrong = archive.testzip()
            return f"is damaged: {safe_repr(wrong)} differs from its checksum" if wrong else None
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        reason = safe_repr(" ".join(str(error).split()))
        return f"is damaged or cannot be read ({type(error).__name__}: {reason})"
