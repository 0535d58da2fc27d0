"""Files of torch.save, from whomever: nothing in them is run, and damage is found."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from genspot.detector.metadata import one_line, shown
from genspot.common.errors import GenspotError


def load(path: Path, setting: str = "checkpoint") -> Any:
    """What torch.save wrote to `path`, tensors and plain values, on the CPU.

    Messages name the file by the `setting` that gave it.

    Raises:
        GenspotError: it is damaged, something else, or would run code.
    """
    if fault := damage(path):
        raise GenspotError(f"{setting}={path} {fault}; copy or download it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below in a line of its own
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything for a file that is something else
        if code := re.search(r"GLOBAL (\S+)", str(error)):
            raise GenspotError(
                f"{setting}={path} is refused: loading it would call {shown(code[1])}, and so "
                "could run anything; ask for the weights alone, as torch.save(model.state_dict(), "
                "FILE) leaves them"
            ) from error
        kind = "is a TorchScript program, and" if "TorchScript" in str(error) else "is"
        raise GenspotError(
            f"{setting}={path} {kind} not a checkpoint that PyTorch can load safely "
            f"({type(error).__name__}); give one of genspot's, or a published .pth"
        ) from error


def damage(path: Path) -> str | None:
    """What is wrong with the file, if anything; PyTorch does not look.

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
            return f"is damaged: {shown(wrong)} differs from its checksum" if wrong else None
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        return f"is damaged or cannot be read ({one_line(error)})"
