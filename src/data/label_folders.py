"""The folders `0_real/` and `1_fake/` of a data set, directly in it or in one folder per class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.data.settings import Classes
from genspot.data.walk import (
    Folder,
    Images,
    LeftOut,
    broken_link,
    find_images,
    join_ids,
    reason_not_an_image,
    walk,
)

LABELS = {"0_real": 0, "1_fake": 1}
OUTSIDE = "an image outside 0_real/ and 1_fake/"
OUTSIDE_FOLDER = "a folder of a class that is not taken"


class LabelFolder(NamedTuple):
    """A folder of images of one label: `0_real/` or `1_fake/` of a class."""

    path: str
    class_name: str
    label: int


def find_label_images(
    folder: str | Path, generator: str, classes: Classes
) -> tuple[list[tuple[LabelFolder, Images]], list[LeftOut]]:
    """Return the label folders below `folder` with their images, and what is left out elsewhere.

    Raises:
        GenspotError: see `label_folders`; or an image has both labels.
    """
    folders, outside = label_folders(folder, generator, classes)
    progress = tqdm(folders, desc=f"listing {generator}", unit="folder", delay=2)
    found = [(one, find_images(one.path)) for one in progress]
    for one, images in found:
        for part in images.folders[1:]:
            if os.path.basename(part.path) in LABELS:
                raise GenspotError(
                    f"{generator}: {part.path} lies in the label folder {one.path}; move it out"
                )
    real, fake = ([pair for pair in found if pair[0].label == label] for label in (0, 1))
    reals, fakes = (join_ids(images.file_ids for _, images in part) for part in (real, fake))
    for one, images in fake if np.isin(fakes, reals).any() else ():  # one search for all folders
        if len(rows := np.flatnonzero(np.isin(images.file_ids, reals))):
            raise GenspotError(
                f"{generator}: {len(rows)} images are in 0_real/ and in 1_fake/, by links to the "
                f"same files; the first: {os.path.join(one.path, images.names[rows[0]].as_py())}"
            )
    return found, outside


def label_folders(
    folder: str | Path, generator: str, classes: Classes
) -> tuple[list[LabelFolder], list[LeftOut]]:
    """Return the label folders of all classes below `folder`, sorted by class.

    Args:
        folder: root of the released layout.
        generator: its name in messages.
        classes: the class folders to take, "any" for all there are at any depth, or None if
            `0_real/` and `1_fake/` are directly in `folder`.

    Returns:
        The label folders, and what is left out outside of them: images, and folders that cannot
        be listed. Of classes that are not taken nothing is.

    Raises:
        GenspotError: the folder, a class, or one of `0_real/` and `1_fake/` is missing.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise GenspotError(f"{generator}: no folder {utf8_path(folder)}")
    found, left_out = [], list[LeftOut]()
    for class_name, parent in _class_folders(root, generator, classes, left_out):
        for name, label in LABELS.items():
            path = parent.join(name)
            if name not in parent.folders:
                reason = dict(left_out).get(path) or broken_link(path)
                raise GenspotError(
                    f"{generator}: {path} is {reason}"
                    if reason
                    else f"{generator}: {parent.path} has no folder {name}; "
                    "real images go into 0_real/ and generated ones into 1_fake/"
                )
            found.append(LabelFolder(path, class_name, label))
    return found, list(dict.fromkeys(left_out))  # what two nested classes leave out is there twice


def _class_folders(
    root: str, generator: str, classes: Classes, left_out: list[LeftOut]
) -> list[tuple[str, Folder]]:
    """Return (name, folder) of each class below `root`, sorted; the name of `root` is empty."""
    if classes == "any":
        found = [
            (Path(folder.path), folder)
            for folder in walk(root, left_out, LABELS)
            if _label_names(folder, left_out)
        ]
        if not found:
            raise GenspotError(
                f"{generator}: no folders 0_real/ and 1_fake/ below {utf8_path(root)}; real "
                f"images go into 0_real/ and generated ones into 1_fake/{first_of(left_out)}"
            )
        return [
            ("" if folder.path == root else path.relative_to(root).as_posix(), folder)
            for path, folder in sorted(found)
        ]
    if missing := [name for name in classes or [] if not os.path.isdir(os.path.join(root, name))]:
        raise GenspotError(f"{generator}: {root} lacks the class folders {', '.join(missing)}")
    names = [""] if classes is None else sorted(classes)
    places = {os.path.join(root, name) if name else root: name for name in names}
    taken = []
    for place, name in places.items():
        for folder in walk(place, left_out, LABELS):
            labels = _label_names(folder, left_out)
            if folder.path == place:
                taken.append((name, folder))
            elif folder.path not in places:  # of another class
                left_out += [(folder.join(label), OUTSIDE_FOLDER) for label in labels]
    return taken


def _label_names(folder: Folder, left_out: list[LeftOut]) -> list[str]:
    """Return the names of the label folders in `folder`; its images are left out."""
    left_out += [(folder.join(name), OUTSIDE) for name in folder.images]
    for path in map(folder.join, folder.others):
        if link := broken_link(path):
            left_out.append((path, link))
        elif not reason_not_an_image(path):
            left_out.append((path, OUTSIDE))
    return [name for name in LABELS if name in folder.folders]


def first_of(rows: Sequence[tuple[Any, ...]]) -> str:
    """Return a clause that names the first of what is left out; "" without any.

    Args:
        rows: of which each begins with the path and ends with the reason.
    """
    if not rows:
        return ""
    more = f", and {len(rows) - 1} more" if rows[1:] else ""
    return f"; left out: {utf8_path(rows[0][0])} ({rows[0][-1]}){more}"
