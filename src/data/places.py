"""The images of a data set, wherever they come from (`genspot.data.settings.Place`)."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genspot.common.containers import zip_of
from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.common.images import UnreadableError
from genspot.data.image_rows import ENDINGS, load_rows, row_generators
from genspot.data.label_folders import LabelFolder, first_of, left_out_of_zip, top_folder
from genspot.data.layout import (
    SKIPPED_SCHEMA,
    Listing,
    join_listings,
    join_samples,
    load_folder,
    sample_table,
)
from genspot.data.lists import Generators, is_list, list_generators, load_list
from genspot.data.settings import DEFAULT_LABELS, Classes, Labels, Place
from genspot.data.walk import file_id, find_images, join_paths, walk

KINDS = "a folder, a ZIP file, a list (.csv, .tsv), or .parquet and .arrow files of images"
SIDES = {"real": 0, "fake": 1}
SPLIT = re.compile(r"(train|test|val|validation|dev)[-_.]")  # as files of Hugging Face begin


def load_samples(
    place: Place | Path, generator: str, classes: Classes, labels: Labels = DEFAULT_LABELS
) -> Listing:
    """Return the images of a data set.

    Args:
        place: where they are.
        generator: name of the set.
        classes: see `genspot.data.settings.TrainingSet`.
        labels: names of the labels.

    Raises:
        GenspotError: the place is missing, has no image, or another layout.
    """
    try:
        if isinstance(place, str | Path):
            return _load_path(str(place), generator, classes, labels, {})
        if "hub" in place:
            from genspot.data.hub import fetch  # here: the library takes a second

            return load_rows(fetch(place, labels), generator, classes, labels, place)
        if "path" in place:
            return _load_path(place["path"], generator, classes, labels, place)
        return _load_sides(place, generator, labels)
    except UnreadableError as error:
        raise GenspotError(f"{generator}: {error}") from None


def _load_path(
    path: str, name: str, classes: Classes, labels: Labels, columns: Mapping[str, Any]
) -> Listing:
    """Return the images at a path: of a folder or ZIP file, or of tables.

    Args:
        path: of them, or a pattern of tables.
        name: see `load_samples`.
        classes: see `load_samples`.
        labels: see `load_samples`.
        columns: of a `Place` with names of columns.
    """
    found = _tables(path, name, labels)
    if found:
        return _load_tables(found, name, classes, labels, columns)
    root = os.path.abspath(path)
    if zip_of(root):
        root = top_folder(root, classes, labels)
    elif os.path.isfile(root):
        raise GenspotError(f"{name}: {utf8_path(path)} is none of {KINDS}")
    return load_folder(root, name, classes, labels)


def _load_tables(
    files: list[str],
    name: str,
    classes: Classes,
    labels: Labels,
    columns: Mapping[str, Any],
    label: int | None = None,
) -> Listing:
    lists = [file for file in files if is_list(file)]
    rows = [file for file in files if file not in lists]
    listings = [load_list(one, name, classes, labels, columns, label) for one in lists]
    if rows:
        listings.append(load_rows(rows, name, classes, labels, columns, label))
    return join_listings(listings)


def _tables(path: str, name: str, labels: Labels) -> list[str]:
    """Return the lists and files of encoded images at `path`: none for label folders and others.

    Raises:
        GenspotError: a pattern matches nothing, or a folder holds tables of several splits.
    """
    full = os.path.abspath(path)
    if os.path.isdir(full):
        with os.scandir(full) as entries:
            names = sorted(one.name for one in entries if one.name.lower().endswith(ENDINGS))
        files = [
            one for one in (os.path.join(full, name) for name in names) if os.path.isfile(one)
        ]
        if files and _has_label_folders(full, labels):
            return []
        splits = {found[1] for one in names if (found := SPLIT.match(one))}
        if len(splits) > 1:
            raise GenspotError(
                f"{name}: {path} holds the splits {', '.join(sorted(splits))}: give those of one, "
                f"such as {os.path.join(path, f'{min(splits)}*')}"
            )
        return files
    files = [full] if os.path.lexists(full) else sorted(glob.glob(full, recursive=True))
    if not files and glob.has_magic(path):
        raise GenspotError(f"{name}: nothing matches {path}")
    tables = [one for one in files if one.lower().endswith(ENDINGS) or is_list(one)]
    if tables and len(tables) < len(files):
        other = next(one for one in files if one not in tables)
        raise GenspotError(f"{name}: {path} matches {other}, which is no table of images")
    if len(files) > 1 and not tables:
        raise GenspotError(
            f"{name}: {path} matches files without labels: give a folder, or {{real: PATTERN, "
            "fake: PATTERN}"
        )
    return tables


def _has_label_folders(root: str, labels: Labels) -> bool:
    def is_label(name: str) -> bool:
        return name.casefold() in labels.values

    return any(any(map(is_label, folder.folders)) for folder in walk(root, [], is_label))


def _load_sides(place: Mapping[str, Any], name: str, labels: Labels) -> Listing:
    """Return the images of {real: PATH, fake: PATH}, of which one may be missing.

    Raises:
        GenspotError: both are missing, or an image is in both.
    """
    sides = {side: place[side] for side in SIDES if place.get(side)}
    if not sides or set(place) - set(SIDES):
        raise GenspotError(f"{name}: {dict(place)} is no place of images")
    listings = [load_images(path, name, SIDES[side], labels) for side, path in sides.items()]
    for other in listings[1:]:
        both = np.flatnonzero(np.isin(other.file_ids, listings[0].file_ids))
        if both.size:
            raise GenspotError(
                f"{name}: {both.size} images are real and fake; the first: "
                f"{other.table['path'][both[0]]}"
            )
    return join_listings(listings)


def load_images(path: str, name: str, label: int, labels: Labels = DEFAULT_LABELS) -> Listing:
    """Return all images at a path, with one label.

    Args:
        path: of an image, a folder, a ZIP file, a list or a file of encoded images, or a pattern.
        name: of the data set.
        label: of all images: 0 real, 1 fake, -1 unknown.
        labels: names of the label folders: those of the other label are refused.

    Raises:
        GenspotError: there is nothing, no image, or a label folder of the other label.
    """
    full = os.path.abspath(path)
    there = [full] if os.path.lexists(full) else sorted(glob.glob(full, recursive=True))
    if not there:
        raise GenspotError(f"{name}: nothing is at {utf8_path(path)}")
    tables = [one for one in there if os.path.isfile(one) and _is_table(one)]
    listings = [_list_images(one, name, label, labels) for one in there if one not in tables]
    if tables:
        listings.append(_load_tables(tables, name, "any", labels, {}, label))
    listing = join_listings(listings)
    if not len(listing.table):
        first = first_of([tuple(row.values()) for row in listing.skipped.to_pylist()])
        raise GenspotError(f"{name}: no images at {utf8_path(path)}{first}")
    return listing


def _is_table(file: str) -> bool:
    return file.lower().endswith(ENDINGS) or is_list(file)


def _list_images(path: str, name: str, label: int, labels: Labels) -> Listing:
    """Return the images of a folder or ZIP file, or one image; see `load_images`."""
    if not os.path.isdir(path) and not zip_of(path):
        ids = np.array([file_id(path)], np.int64)
        table = sample_table([(path, name, "", label)])
        return Listing(table, sample_table([], SKIPPED_SCHEMA), ids)
    found = find_images(path)
    for folder in found.folders[1:]:
        if labels.values.get(os.path.basename(folder.path).casefold(), label) == 1 - label:
            raise GenspotError(
                f"{name}: {folder.path} holds {('real', 'fake')[1 - label]} images by its name, "
                f"below {path}, of which all are {('real', 'fake')[label]}: move it out, or give "
                "other names, labels={real: [NAME], fake: [NAME]}"
            )
    if not found.file_ids.size and (tables := _tables(path, name, labels)):
        return _load_tables(tables, name, "any", labels, {}, label)
    left_out = [*left_out_of_zip(path), *found.left_out]
    rows = [(utf8_path(one), name, "", label, reason) for one, reason in left_out]
    paths = [join_paths(path, found.names)]
    table = join_samples([LabelFolder(path, "", label)], paths, name)
    return Listing(table, sample_table(rows, SKIPPED_SCHEMA), found.file_ids)


def find_generators(table: Mapping[str, Any], labels: Labels) -> Generators | None:
    """Return the generators that a column of tables names; None if the place is no table.

    Args:
        table: a place with names of columns.
        labels: names of the labels.

    Raises:
        GenspotError: a table is missing or damaged, or lacks a column.
    """
    name = str(table.get("hub") or table["path"])
    if "hub" in table:
        from genspot.data.hub import fetch

        files = fetch(table, labels)
    else:
        files = _tables(table["path"], name, labels)
    parts = [
        list_generators(file, table, labels)
        if is_list(file)
        else row_generators(file, name, table, labels)
        for file in files
    ]
    names = dict.fromkeys(one for part in parts for one in part.names)
    return Generators(list(names), any(part.shared_reals for part in parts)) if parts else None
