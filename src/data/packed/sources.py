"""Which label folders a packed copy must have, and which of them have image files beside it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from genspot.common.errors import GenspotError
from genspot.data.label_folders import LabelFolder, check_missing, find_label_images
from genspot.data.packed.index import INDEX_FILE, read_entry, read_label_folders
from genspot.data.settings import Classes, Labels
from genspot.data.walk import PACKED_SUFFIX, Images, LeftOut, is_passed_over

HINT = "task=pack data={generator} packs it, data.format=files reads the images themselves"

Source = tuple[LabelFolder, Images | None]  # None: the images are in the packed copy alone


def packed_folder(root: str | Path) -> Path:
    """Return the path of the packed copy of the data set in `root`, an absolute path."""
    return Path(f"{root}{PACKED_SUFFIX}")


def find_sources(
    root: str, generator: str, classes: Classes, labels: Labels
) -> tuple[list[Source], list[LeftOut]]:
    """Return the label folders of a data set, and what is left out outside of them.

    In the packed copy alone are all of them if there is no folder `root`; else those of the
    classes that were packed from an archive and have no label folder in `root`.

    Raises:
        GenspotError: see `find_label_images`; or the list of the copy is damaged; or `classes` is
            "any" and there is no copy.
    """
    if not os.path.isdir(root):
        return [(one, None) for one in _packed_label_folders(root, generator, classes, labels)], []
    alone = _label_folders_without_files(root, classes, labels)
    if not alone:
        here, outside = find_label_images(root, generator, classes, labels)
        return list(here), outside
    in_files = classes
    if isinstance(classes, list):
        in_copy = {Path(one.class_name) for one in alone}
        in_files = [name for name in classes if Path(name) not in in_copy]
    here, outside = [], []
    if not all(map(is_passed_over, os.listdir(root))) if classes == "any" else in_files:
        here, outside = find_label_images(root, generator, in_files, labels)
    found = sorted([*here, *((one, None) for one in alone)], key=lambda one: _order(one[0]))
    folders = [one for one, _ in found]
    parents = dict.fromkeys(os.path.dirname(one.path) for one in folders)
    check_missing(folders, parents, generator, labels.values)
    return found, outside


def _order(folder: LabelFolder) -> tuple[Path, int, str]:
    """Return the key by which label folders are sorted: class, real before fake, name."""
    return Path(folder.class_name), folder.label, os.path.basename(folder.path)


def has_label_folder(folder: str, labels: Labels) -> bool:
    """Return whether a label folder lies directly in `folder`, which need not exist."""
    with suppress(OSError):
        return any(name.casefold() in labels.values for name in os.listdir(folder))
    return False


def _label_folders_without_files(root: str, classes: Classes, labels: Labels) -> list[LabelFolder]:
    """Return the label folders in the packed copy alone while there is a folder `root`."""
    chosen = classes if isinstance(classes, list) else [""]
    absent = {
        Path(name) for name in chosen if not has_label_folder(os.path.join(root, name), labels)
    }
    if classes != "any" and not absent:
        return []
    by_class: dict[Path, list[LabelFolder]] = defaultdict(list)
    copy = packed_folder(root)
    for one in _of_labels(root, _stored(copy), labels):
        parent = Path(one.class_name)
        known = parent in absent
        if classes == "any":
            known = not has_label_folder(os.path.join(root, parent), labels)
        if known:
            by_class[parent].append(one)
    return [
        folder
        for folders in by_class.values()
        if not any(_is_of_files(copy, os.path.relpath(one.path, root)) for one in folders)
        for folder in folders
    ]


def _stored(copy: Path) -> list[str]:
    """Return the label folders of a packed copy; by its indices where its list is damaged."""
    try:
        return read_label_folders(copy)
    except GenspotError:
        return [str(file.parent.relative_to(copy)) for file in sorted(copy.rglob(INDEX_FILE))]


def _is_of_files(copy: Path, place: str) -> bool:
    """Return whether the label folder `place` of a copy was packed from files."""
    with suppress(GenspotError, PermissionError):  # opening the copy says what is wrong
        entry = read_entry(copy / place / INDEX_FILE)
        return entry is not None and not entry.is_of_archive
    return False


def _packed_label_folders(
    root: str, generator: str, classes: Classes, labels: Labels
) -> list[LabelFolder]:
    """Return the label folders of a source that is not here, in the order of `label_folders`.

    Raises:
        GenspotError: `classes` is "any" and there is no packed copy, or its list is damaged.
    """
    copy = packed_folder(root)
    try:
        stored = _of_labels(root, read_label_folders(copy), labels)
    except GenspotError:
        if classes == "any":
            raise
        stored = []
    if classes == "any":
        if not stored:
            raise GenspotError(
                f"{copy} lacks all images, and there is no folder {root}; "
                + HINT.format(generator=generator)
            )
        return sorted(stored, key=_order)
    parents = {Path()} if classes is None else {Path(name) for name in classes}
    folders = [one for one in stored if Path(one.class_name) in parents]
    absent = parents - {Path(one.class_name) for one in folders}
    folders += _of_labels(
        root, [str(one / name) for one in absent for name in labels.first], labels
    )
    return sorted(folders, key=_order)


def _of_labels(root: str, places: Iterable[str], labels: Labels) -> list[LabelFolder]:
    """Return those of `places` below `root` that are label folders."""
    return [
        LabelFolder(
            os.path.normpath(os.path.join(root, place)),
            "" if place.parent == Path() else place.parent.as_posix(),
            labels.values[place.name.casefold()],
        )
        for place in map(Path, places)
        if place.name.casefold() in labels.values
    ]
