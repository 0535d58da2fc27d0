"""Photographs to make fakes of: those that ship with genspot, or the user's own."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from genspot.common.containers import encoded_size, matches
from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.common.images import UnreadableError
from genspot.data.image_io import describe_error, read
from genspot.data.places import list_images
from genspot.data.settings import DEFAULT_LABELS, SPLIT_NAMES

log = logging.getLogger(__name__)

SETTING = "data.photos"
REAL = 0  # the label: a folder of fakes among the photographs is refused
PART = 10  # one of so many photographs is for validation


@dataclass(frozen=True)
class Photographs:
    """Photographs of one split, and how a window is cut of one."""

    classes: list[str]  # the class folder of each; "": no class folder
    cut: Callable[[int, int, np.random.Generator], np.ndarray]  # number, side → uint8 side×side×3


def find_own(place: str, split: str, seed: int) -> tuple[list[str], list[str]]:
    """Return the paths of the photographs of `split` at `place`, and what is left out there.

    A tenth of them, drawn with `seed`, is for validation.

    Args:
        place: a folder, a pattern, a ZIP file or a list.
        split: "train" or "val".
        seed: of the division.

    Raises:
        GenspotError: there are fewer than two, or a folder of fakes is among them.
    """
    path = os.path.abspath(place)
    there = matches(path)
    if not there:
        raise GenspotError(f"{SETTING}={utf8_path(place)}: nothing is there")
    listing = list_images(there, SETTING, REAL, DEFAULT_LABELS, named=there == [path])
    paths = listing.table["path"].to_pylist()
    if len(paths) < 2:
        raise GenspotError(
            f"{SETTING}={utf8_path(place)}: {len(paths)} photographs there"
            f"{listing.first_skipped()}; give at least two, one for validation"
        )
    order = np.random.default_rng(seed).permutation(len(paths))
    held_out = max(1, len(paths) // PART)
    chosen = order[:held_out] if split == "val" else order[held_out:]
    left_out = [f"{row['path']} ({row['reason']})" for row in listing.skipped.to_pylist()]
    return [paths[number] for number in sorted(chosen)], left_out


def describe_own(paths: list[str]) -> dict[str, Any]:
    """Return what tells photographs apart: their number, and a digest of names and sizes."""
    top = os.path.commonpath([os.path.dirname(path) for path in paths])
    files = "\n".join(f"{os.path.relpath(path, top)} {_bytes(path)}" for path in paths)
    return {"count": len(paths), "files": hashlib.sha256(files.encode()).hexdigest()}


def _bytes(path: str) -> int | None:
    """Return how many bytes the photograph at `path` has; None where it is missing."""
    try:
        return encoded_size(path)
    except (OSError, UnreadableError):
        return None


def own(place: str, split: str, seed: int, side: int) -> Photographs:
    """Return the photographs of `split` at `place`, see `find_own`.

    The unreadable and the small ones are left out and counted. A window is the whole photograph,
    its shorter side reduced to the side of the window, cropped at random along the other one.

    Args:
        place: see `find_own`; so are split and seed.
        split: "train" or "val".
        seed: of the division.
        side: the shorter side of a photograph has at least so many pixels.

    Raises:
        GenspotError: none is left, or see `find_own`.
    """
    paths, left_out = find_own(place, split, seed)
    usable = []
    for path in tqdm(paths, desc="reading photographs", unit="image"):
        if reason := _fault(path, side):
            left_out.append(f"{path} ({reason})")
        else:
            usable.append(path)
    if not usable:
        raise GenspotError(
            f"{SETTING}={utf8_path(place)}: none of {len(paths)} photographs can be used; the "
            f"last: {left_out[-1]}"
        )
    if left_out:
        log.warning(
            "%s: %d files are left out of the %s photographs; the first: %s",
            SETTING,
            len(left_out),
            SPLIT_NAMES["train" if split == "train" else "val"],
            left_out[0],
        )
    return Photographs([""] * len(usable), partial(_cut_own, usable))


def _fault(path: str, side: int) -> str | None:
    """Return why the photograph at `path` cannot be used."""
    try:
        height, width = read(path).shape[:2]
    except Exception as error:
        return describe_error(error)
    if min(height, width) < side:
        return f"{width} × {height} pixels; simulation.size and autogan.side need {side}"
    return None


def _cut_own(paths: list[str], number: int, side: int, rng: np.random.Generator) -> np.ndarray:
    photo = Image.fromarray(read(paths[number]))
    scale = side / min(photo.size)
    width, height = (max(side, round(scale * length)) for length in photo.size)
    pixels = np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    return pixels[top : top + side, left : left + side]
