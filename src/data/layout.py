"""Folders of real and fake images as tables of samples.

The released layout: `0_real/` and `1_fake/`, directly in a folder or in one folder per class.
Images may lie at any depth below them; see `genspot.data.walk`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.ranks import is_rank_zero
from genspot.data.settings import Classes
from genspot.data.walk import (
    Folder,
    LeftOut,
    broken_link,
    find_images,
    join_paths,
    utf8_path,
    walk,
)

log = logging.getLogger(__name__)

SkippedRow = tuple[str, str, str, int, str]  # path, generator, class, label, reason

LABELS = {"0_real": 0, "1_fake": 1}
OUTSIDE = "an image outside 0_real/ and 1_fake/"

# Arrow keeps all paths in one buffer. A list of Python strings would be copied into every worker,
# page by page, because reading an object changes its reference count.
SAMPLE_SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("generator", pa.dictionary(pa.int32(), pa.string())),
        ("class", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.int8()),  # 0 real, 1 fake, -1 unknown
    ]
)
SKIPPED_SCHEMA = SAMPLE_SCHEMA.append(pa.field("reason", pa.string()))


@dataclass(frozen=True)
class Listing:
    """The images of a data set."""

    table: pa.Table  # of SAMPLE_SCHEMA
    skipped: pa.Table  # of SKIPPED_SCHEMA: files and folders that are left out, with the reason
    folders: frozenset[str]  # real paths of the folders that hold images


class LabelFolder(NamedTuple):
    """A folder of images of one label: `0_real/` or `1_fake/` of a class."""

    path: str
    class_name: str
    label: int


class FolderImages(NamedTuple):
    """What was found in one label folder."""

    folder: LabelFolder
    paths: pa.Array
    left_out: list[LeftOut]
    real_folders: set[str]  # of the folders that hold images


def sample_table(rows: Iterable[tuple[str, str, str, int]]) -> pa.Table:
    """Return a table of `SAMPLE_SCHEMA` of (path, generator, class, label) rows."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return pa.table([list(column) for column in columns], schema=SAMPLE_SCHEMA)


def skipped_table(rows: Iterable[SkippedRow]) -> pa.Table:
    """Return a table of `SKIPPED_SCHEMA` of (path, generator, class, label, reason) rows."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), (), ()]
    return pa.table([list(column) for column in columns], schema=SKIPPED_SCHEMA)


def load_samples(folder: str | Path, generator: str, classes: Classes) -> Listing:
    """Return the images below `folder`; see `label_folders` and `genspot.data.walk`.

    Raises:
        GenspotError: a folder is missing, or there is no image.
    """
    root = os.path.abspath(folder)
    folders, outside = label_folders(root, generator, classes)
    progress = tqdm(folders, desc=f"listing {generator}", unit="folder", delay=2)
    found = [find_images(one.path) for one in progress]
    listed = [
        FolderImages(
            one,
            join_paths(one.path, images.names()),
            images.left_out,
            {part.real_path for part in images.folders if part.images},
        )
        for one, images in zip(folders, found, strict=True)
    ]
    return make_listing(root, generator, listed, outside)


def make_listing(
    root: str, generator: str, found: list[FolderImages], outside: list[LeftOut]
) -> Listing:
    """Return the listing of a data set; label folders without any image are warned of.

    Args:
        root: folder of the data set.
        generator: its name.
        found: its images by label folder.
        outside: what is left out outside of label folders.

    Raises:
        GenspotError: there is no image.
    """
    rows = [
        (utf8_path(path), generator, folder.class_name, folder.label, reason)
        for folder, _, left_out, _ in found
        for path, reason in left_out
    ]
    for path, reason in outside:
        class_name = os.path.relpath(os.path.dirname(path), root)
        class_name = "" if path == root or class_name == "." else utf8_path(class_name)
        rows.append((utf8_path(path), generator, class_name, -1, reason))
    table = join_samples([one.folder for one in found], [one.paths for one in found], generator)
    if not len(table):
        raise GenspotError(f"{generator}: no images below {utf8_path(root)}{first_of(rows)}")
    empty = [one.folder.path for one in found if not len(one.paths)]
    if empty and is_rank_zero():
        more = f" and in {len(empty) - 1} other folders" if empty[1:] else ""
        log.warning("%s: there is no image in %s%s", generator, utf8_path(empty[0]), more)
    return Listing(
        table, skipped_table(rows), frozenset().union(*(one.real_folders for one in found))
    )


def join_listings(listings: list[Listing]) -> Listing:
    """Return the images of all `listings`, one after the other."""
    tables = [sample_table([]), *(one.table for one in listings)]
    skipped = [skipped_table([]), *(one.skipped for one in listings)]
    return Listing(
        pa.concat_tables(tables).unify_dictionaries(),
        pa.concat_tables(skipped).unify_dictionaries(),
        frozenset[str]().union(*(one.folders for one in listings)),
    )


def first_of(rows: Sequence[SkippedRow | LeftOut]) -> str:
    """Return a clause that names the first of what is left out; "" without any."""
    if not rows:
        return ""
    more = f", and {len(rows) - 1} more" if rows[1:] else ""
    return f"; left out: {utf8_path(rows[0][0])} ({rows[0][-1]}){more}"


def join_samples(folders: list[LabelFolder], paths: list[pa.Array], generator: str) -> pa.Table:
    """Return the table of samples of label folders with these images."""
    rows = [len(part) for part in paths]
    class_names = list(dict.fromkeys(folder.class_name for folder in folders))
    codes = [class_names.index(folder.class_name) for folder in folders]
    columns = [
        pa.chunked_array(paths, pa.large_string()),
        pa.DictionaryArray.from_arrays(np.zeros(sum(rows), np.int32), pa.array([generator])),
        pa.DictionaryArray.from_arrays(
            np.repeat(np.array(codes, np.int32), rows), pa.array(class_names, pa.string())
        ),
        np.repeat(np.array([folder.label for folder in folders], np.int8), rows),
    ]
    return pa.table(columns, schema=SAMPLE_SCHEMA)


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
        The label folders, and what is left out outside of them: class folders that cannot be
        listed, and with "any" also images.

    Raises:
        GenspotError: the folder, a class, or one of `0_real/` and `1_fake/` is missing.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise GenspotError(f"{generator}: no folder {utf8_path(folder)}")
    found, left_out = [], list[LeftOut]()
    for class_name, parent in _class_folders(root, generator, classes, left_out):
        for name, label in LABELS.items():
            if name not in parent.folders:
                raise GenspotError(
                    f"{generator}: {utf8_path(parent.path)} has no folder {name}; "
                    "real images go into 0_real/ and generated ones into 1_fake/"
                )
            found.append(LabelFolder(parent.join(name), utf8_path(class_name), label))
    return found, left_out


def _class_folders(
    root: str, generator: str, classes: Classes, left_out: list[LeftOut]
) -> Iterator[tuple[str, Folder]]:
    """Yield (name, folder) of each class below `root`, sorted; the name of `root` is empty."""
    if classes == "any":
        found = _find_classes(root, left_out)
        if not found:
            raise GenspotError(
                f"{generator}: no folders 0_real/ and 1_fake/ below {utf8_path(root)}; real "
                "images go into 0_real/ and generated ones into 1_fake/"
            )
        yield from found
        return
    names = [""] if classes is None else sorted(classes)
    if missing := [name for name in classes or [] if not os.path.isdir(os.path.join(root, name))]:
        raise GenspotError(f"{generator}: {root} lacks the class folders {', '.join(missing)}")
    for name in names:
        # The first folder of the walk is the class folder itself; no other is entered.
        parent = next(walk(os.path.join(root, name) if name else root, left_out, LABELS), None)
        if parent:
            yield name, parent


def _find_classes(root: str, left_out: list[LeftOut]) -> list[tuple[str, Folder]]:
    """Return (name, folder) of each folder below `root` that has a label folder, sorted."""
    found = []
    for folder in walk(root, left_out, LABELS):
        if LABELS.keys() & set(folder.folders):
            found.append((Path(folder.path), folder))
        left_out += [(folder.join(name), OUTSIDE) for name in folder.images]
        links = {folder.join(name): broken_link(folder.join(name)) for name in folder.others}
        left_out += [(path, reason) for path, reason in links.items() if reason]
    return [
        ("" if folder.path == root else path.relative_to(root).as_posix(), folder)
        for path, folder in sorted(found)
    ]


def list_inputs(inputs: str | Path) -> Listing:
    """Return one photo, or all images below a folder, with unknown labels.

    Raises:
        GenspotError: `inputs` does not exist or contains no image.
    """
    path = str(inputs)
    if not os.path.exists(path):
        raise GenspotError(f"inputs={inputs}: no such file or folder")
    if os.path.isfile(path):
        return Listing(
            sample_table([(utf8_path(path), "", "", -1)]), skipped_table([]), frozenset()
        )
    found = find_images(path)
    rows = [(utf8_path(one), "", "", -1, reason) for one, reason in found.left_out]
    files = join_paths(path, found.names()).to_pylist()
    table = sample_table((file, "", "", -1) for file in files)
    if not len(table):
        raise GenspotError(f"inputs={inputs}: no images there{first_of(rows)}")
    return Listing(table, skipped_table(rows), frozenset())
