"""What the tasks ask of a place of images; see `genspot.data.settings.Place`."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import Any

from genspot.common.containers import container_of
from genspot.data.settings import Place, paths_of

PATHS = ("path", "real", "fake")  # keys of a place whose values are paths


def absolute(place: Place) -> Place:
    """Return a place with absolute paths."""
    if isinstance(place, str):
        return os.path.abspath(place)
    paths = {key: os.path.abspath(place[key]) for key in PATHS if place.get(key)}
    return {**place, **paths}


def with_folder(place: Any, datasets: str) -> Any:
    """Return a place; one of Hugging Face with the folder of what is streamed."""
    is_hub = isinstance(place, dict) and "hub" in place
    return {"folder": f"{datasets}/hub", **place} if is_hub else place


def roots(place: Place, images: Sequence[str]) -> list[str]:
    """Return the folders and files that the images of a place lie below.

    Args:
        place: of the images.
        images: their paths.

    Returns:
        The folder or container itself; the folder of a list; that of a pattern's first sign; that
        of the files of a data set of Hugging Face, which has the revision's name.
    """
    found = [_root(os.path.abspath(path)) for path in paths_of(place)]
    if not found and images:
        files = {container_of(path) for path in dict.fromkeys(map(os.path.dirname, images))}
        found = [os.path.dirname(os.path.commonpath([*map(os.path.dirname, files)]))]
    return found


def _root(path: str) -> str:
    if os.path.exists(path):
        is_list = os.path.splitext(path)[1].lower() in (".csv", ".tsv", ".txt")
        return os.path.dirname(path) if is_list else path
    while glob.has_magic(path):
        path = os.path.dirname(path)
    return path
