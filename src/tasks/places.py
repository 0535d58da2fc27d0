"""What the tasks ask of a place of images; see `genspot.data.settings.Place`."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import Any

from genspot.common.containers import container_of
from genspot.data.settings import Place, paths_of
from genspot.tasks.hub_models import HUB

PATHS = ("path", "real", "fake")  # keys of a place whose values are paths
PUBLISHED = "published/"  # weights that begin so are in the table conf/download/
EMBEDDED = "embedded"  # the weights that ship with genspot


def names_weights(value: object) -> bool:
    """Return whether a setting of weights names them, and is not the path of a file.

    A file of the name `EMBEDDED` is given as ./embedded: those that ship must not change with the
    working directory.
    """
    if value == EMBEDDED:
        return True
    is_name = isinstance(value, str) and value.startswith((PUBLISHED, HUB))
    return is_name and not os.path.isfile(str(value))


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
        The folder; a file, or a place within one, and what it lies in, for a file may be a list;
        the folder of a pattern's first sign; that of the files of a data set of Hugging Face,
        which has the revision's name.
    """
    found = [root for path in paths_of(place) for root in _roots(os.path.abspath(path))]
    if not found and images:
        files = {container_of(path) for path in dict.fromkeys(map(os.path.dirname, images))}
        found = [os.path.dirname(os.path.commonpath([*map(os.path.dirname, files)]))]
    return found


def _roots(path: str) -> list[str]:
    while glob.has_magic(path) and not os.path.exists(container_of(path)):
        path = os.path.dirname(path)
    return [path] if os.path.isdir(path) else [path, os.path.dirname(path)]
