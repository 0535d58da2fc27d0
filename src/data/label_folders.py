"""The folders of the labels of a data set, directly in it or in one folder per class.

In the released layout they are `0_real/` and `1_fake/`; `genspot.data.settings.Labels` has further
names. The data set is a folder or a ZIP file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from genspot.common.containers import container_of, zip_of
from genspot.common.errors import GenspotError
from genspot.common.files import UNFINISHED, utf8_path
from genspot.data.settings import DEFAULT_LABELS, Classes, Labels
from genspot.data.walk import (
    Folder,
    Images,
    LeftOut,
    broken_link,
    find_images,
    is_passed_over,
    join_ids,
    reason_not_an_image,
    walk,
)

LABELS = DEFAULT_LABELS.first  # of the released layout
OUTSIDE = "an image outside of label folders"
OUTSIDE_FOLDER = "a folder of a class that is not taken"

Names = Mapping[str, int]  # names of label folders in lower case → labels


class LabelFolder(NamedTuple):
    """A folder of images of one label: `0_real/` or `1_fake/` of a class."""

    path: str
    class_name: str
    label: int


def find_label_images(
    folder: str | Path, generator: str, classes: Classes, labels: Labels = DEFAULT_LABELS
) -> tuple[list[tuple[LabelFolder, Images]], list[LeftOut]]:
    """Return the label folders below `folder` with their images, and what is left out elsewhere.

    The first names of `labels` alone count where one of them is found.

    Raises:
        GenspotError: see `_label_folders`; or a class lacks a label that another has, or an image
            has both.
    """
    first = {name.casefold(): label for name, label in labels.first.items()}
    names: Names = labels.values
    found = _label_folders(folder, generator, classes, names)
    is_first = [_folded(one.path) in first for one in found.folders]
    images = _list(found.folders, generator) if all(is_first) or not any(is_first) else []
    inner = [_folded(part.path) for _, one in images for part in one.folders[1:]]
    if any(is_first) or any(name in first for name in inner):
        names = first
        if not all(is_first):  # a folder of another name, such as real/ or nature/, is a class
            found = _label_folders(folder, generator, classes, first)
            images = _list(found.folders, generator)
    check_missing(found.folders, found.parents, generator, names)
    _check_labels(images, generator, names)
    return images, found.left_out


def _folded(path: str) -> str:
    return os.path.basename(path).casefold()


def _list(folders: list[LabelFolder], generator: str) -> list[tuple[LabelFolder, Images]]:
    for one in folders:
        if os.path.exists(os.path.join(one.path, UNFINISHED)):
            raise GenspotError(
                f"{generator}: the download of {utf8_path(one.path)} has not ended: the same "
                "task=download command as before continues it"
            )
    progress = tqdm(folders, desc=f"listing {generator}", unit="folder", delay=2)
    return [(one, find_images(one.path)) for one in progress]


def _check_labels(found: list[tuple[LabelFolder, Images]], generator: str, names: Names) -> None:
    """Raise GenspotError if a label folder lies in another one, or an image is in both kinds."""
    for one, images in found:
        for part in images.folders[1:]:
            if _folded(part.path) in names:
                raise GenspotError(
                    f"{generator}: {part.path} lies in the label folder {one.path}; move it out"
                )
    real, fake = ([pair for pair in found if pair[0].label == label] for label in (0, 1))
    reals, fakes = (join_ids(images.file_ids for _, images in part) for part in (real, fake))
    for one, images in fake if np.isin(fakes, reals).any() else ():  # one search for all folders
        if len(rows := np.flatnonzero(np.isin(images.file_ids, reals))):
            named = (os.path.basename(part[0][0].path) for part in (real, fake))
            raise GenspotError(
                f"{generator}: {len(rows)} images are in {'/ and in '.join(named)}/, by links to "
                f"the same files; the first: {one.path}/{images.names[rows[0]].as_py()}"
            )


class _Found(NamedTuple):
    """Label folders, the folders in which they are looked for, and what is outside of them."""

    folders: list[LabelFolder]
    parents: list[str]
    left_out: list[LeftOut]  # images, and folders that cannot be listed


def _label_folders(folder: str | Path, generator: str, classes: Classes, names: Names) -> _Found:
    """Return the label folders of all classes below `folder`, sorted by class, real before fake.

    Args:
        folder: root of the data set: a folder, a ZIP file or a folder within one.
        generator: its name in messages.
        classes: the class folders to take, "any" for all there are at any depth, or None if
            the label folders are directly in `folder`.
        names: of label folders.

    Raises:
        GenspotError: the folder, a class or all label folders are missing, or one cannot be
            entered.
    """
    root = os.path.abspath(folder)
    if not is_folder(root):
        raise GenspotError(f"{generator}: no folder {utf8_path(folder)}")
    found, left_out = [], left_out_of_zip(root)
    parents = _class_folders(root, generator, classes, names, left_out)
    reasons = dict(left_out)
    for class_name, parent in parents:
        labelled = [name for name in parent.folders if name.casefold() in names]
        there = {(names[name.casefold()], name) for name in labelled}
        for name, label in names.items():
            path = parent.join(name)
            if label not in dict(there) and (reason := reasons.get(path) or broken_link(path)):
                raise GenspotError(f"{generator}: {path} is {reason}")
        found += [
            LabelFolder(parent.join(name), class_name, label) for label, name in sorted(there)
        ]
    left_out = list(dict.fromkeys(left_out))  # what two nested classes leave out is there twice
    return _Found(found, [parent.path for _, parent in parents], left_out)


def check_missing(
    folders: Sequence[LabelFolder], parents: Iterable[str], generator: str, names: Names
) -> None:
    """Raise GenspotError if a class lacks a label that another one has, or all lack both.

    Args:
        folders: label folders.
        parents: folders in which they must be.
        generator: name of the data set, in messages.
        names: of label folders.
    """
    kinds = " and ".join(
        f"{kind} into {next(name for name, label in names.items() if label == number)}/"
        for number, kind in enumerate(("real images go", "generated ones"))
    )
    there = {(os.path.dirname(one.path), one.label) for one in folders}
    for label in {one.label for one in folders} or {0}:
        for parent in parents:
            if (parent, label) not in there:
                name = next(name for name, value in names.items() if value == label)
                raise GenspotError(f"{generator}: {parent} has no folder {name}; {kinds}")


def top_folder(root: str, classes: Classes, labels: Labels) -> str:
    """Return the folder in which a ZIP file holds the data set: many have one top folder.

    Of any classes, it is that of the ZIP file's name, since another one may be a class.
    """
    inside = zip_of(root)
    if not inside or inside[1]:
        return root
    files, folders = inside[0].folders[""]
    shown = [name for name in folders if not is_passed_over(name)]
    if files or len(shown) != 1 or shown[0].casefold() in labels.values:
        return root
    if isinstance(classes, list) and shown[0] in {name.split("/")[0] for name in classes}:
        return root
    own_name = os.path.splitext(os.path.basename(root))[0]
    return os.path.join(root, shown[0]) if classes != "any" or shown[0] == own_name else root


def is_folder(path: str) -> bool:
    """Return whether `path` is a folder, a ZIP file, or a folder within one."""
    inside = zip_of(path)
    return inside[1] in inside[0].folders if inside else os.path.isdir(path)


def left_out_of_zip(root: str) -> list[LeftOut]:
    """Return the members of a ZIP file that no walk reaches; of a folder nothing."""
    inside, file = zip_of(root), container_of(root)
    left_out = inside[0].left_out if inside else []
    return [(os.path.join(file, name), reason) for name, reason in left_out]


def _class_folders(
    root: str, generator: str, classes: Classes, names: Names, left_out: list[LeftOut]
) -> list[tuple[str, Folder]]:
    """Return (name, folder) of each class below `root`, sorted; the name of `root` is empty."""

    def is_label(name: str) -> bool:
        return name.casefold() in names

    if classes == "any":
        found = [
            (Path(folder.path), folder)
            for folder in walk(root, left_out, is_label)
            if _label_names(folder, is_label, left_out)
        ]
        if not found:
            raise GenspotError(
                f"{generator}: no label folders ({', '.join(names)}) below {utf8_path(root)}; "
                "give {real: PATH} or {fake: PATH} where all images have one label, or other "
                f"names, labels={{real: [NAME], fake: [NAME]}}{first_of(left_out)}"
            )
        return [
            ("" if folder.path == root else path.relative_to(root).as_posix(), folder)
            for path, folder in sorted(found)
        ]
    if missing := [name for name in classes or [] if not is_folder(os.path.join(root, name))]:
        raise GenspotError(f"{generator}: {root} lacks the class folders {', '.join(missing)}")
    chosen = [""] if classes is None else sorted(classes)
    places = {os.path.join(root, name) if name else root: name for name in chosen}
    taken = []
    for place, name in places.items():
        for folder in walk(place, left_out, is_label):
            found_names = _label_names(folder, is_label, left_out)
            if folder.path == place:
                taken.append((name, folder))
            elif folder.path not in places:  # of another class
                left_out += [(folder.join(one), OUTSIDE_FOLDER) for one in found_names]
    return taken


def _label_names(
    folder: Folder, is_label: Callable[[str], bool], left_out: list[LeftOut]
) -> list[str]:
    """Return the names of the label folders in `folder`; its images are left out."""
    left_out += [(folder.join(name), OUTSIDE) for name in folder.images]
    for path in map(folder.join, folder.others):
        if link := broken_link(path):
            left_out.append((path, link))
        elif not reason_not_an_image(path):
            left_out.append((path, OUTSIDE))
    return [name for name in folder.folders if is_label(name)]


def first_of(rows: Sequence[tuple[Any, ...]]) -> str:
    """Return a clause that names the first of what is left out; "" without any.

    Args:
        rows: of which each begins with the path and ends with the reason.
    """
    if not rows:
        return ""
    more = f", and {len(rows) - 1} more" if rows[1:] else ""
    return f"; left out: {utf8_path(rows[0][0])} ({rows[0][-1]}){more}"
