"""The images of a data set, wherever they come from (`genspot.data.settings.Place`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.common.containers import matches, zip_of
from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.common.images import UnreadableError
from genspot.data.label_folders import LabelFolder, is_folder, left_out_of_zip, top_folder
from genspot.data.layout import (
    SKIPPED_SCHEMA,
    Listing,
    distinct,
    join_listings,
    join_samples,
    load_folder,
    sample_table,
)
from genspot.data.lists import Generators, TableOptions, is_list
from genspot.data.settings import DEFAULT_LABELS, Classes, Labels, Place, paths_of
from genspot.data.table_files import (
    find_tables,
    is_table,
    list_generators,
    load_tables,
    tables_in,
)
from genspot.data.walk import (
    EXTENSIONS,
    NOT_UTF8,
    LeftOut,
    file_id,
    find_images,
    join_paths,
    reason_not_an_image,
)

KINDS = "a folder, a ZIP file, a list (.csv, .tsv), or .parquet and .arrow files of images"
SIDES = {"real": 0, "fake": 1}


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
            return _load_path(str(place), TableOptions(generator, classes, labels))
        options = TableOptions(generator, classes, labels, place)
        if "hub" in place:
            from genspot.data.hub import fetch  # here: the library takes a second

            return load_tables(fetch(place, labels), options)
        if "path" in place:
            return _load_path(place["path"], options)
        return _load_sides(place, generator, labels)
    except UnreadableError as error:
        raise GenspotError(f"{generator}: {error}") from None


def missing_path(place: Place) -> str | None:
    """Return the first path of a place at which there is nothing; None without any."""
    return next((path for path in paths_of(place) if not matches(path)), None)


def _load_path(path: str, options: TableOptions) -> Listing:
    """Return the images at a path: of a folder, a ZIP file or tables."""
    name, classes, labels = options.name, options.classes, options.labels
    found = find_tables(path, name, labels)
    if found:
        return load_tables(found, options)
    root = os.path.abspath(path)
    if zip_of(root):
        root = top_folder(root, classes, labels)
    elif os.path.isfile(root):
        raise GenspotError(f"{name}: {utf8_path(path)} is none of {KINDS}")
    return load_folder(root, name, classes, labels)


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
        label: of all images: 0 real, 1 fake.
        labels: names of the label folders: those of the other label are refused.

    Raises:
        GenspotError: there is nothing, no image, or a label folder of the other label.
    """
    there = matches(os.path.abspath(path))
    if not there:
        raise GenspotError(f"{name}: nothing is at {utf8_path(path)}")
    listing = list_images(there, name, label, labels, named=there == [os.path.abspath(path)])
    if not len(listing.table):
        raise GenspotError(f"{name}: no images at {utf8_path(path)}{listing.first_skipped()}")
    return listing


def list_images(paths: list[str], name: str, label: int, labels: Labels, named: bool) -> Listing:
    """Return the images at `paths`, each once: of folders, then of tables, then single files.

    Args:
        paths: what `matches` returns.
        name: of the data set.
        label: of all images: 0 real, 1 fake, -1 unknown.
        labels: see `load_images`.
        named: whether the user named the one path. A list counts then, and any other file is
            taken for an image. What a pattern matches may be anything beside the images: of files
            without the extension of one the content decides.

    Raises:
        GenspotError: a file is damaged, or see `load_images`.
    """
    tables = [one for one in paths if os.path.isfile(one) and is_table(one)]
    if not named:
        tables = [one for one in tables if not is_list(one)]
    try:
        others = sorted({*paths} - {*tables})
        folders = [one for one in others if is_folder(one)]
        files = sorted({*others} - {*folders})
        listings = [_list_folder(one, name, label, labels) for one in folders]
    except UnreadableError as error:
        raise GenspotError(f"{name}: {error}") from None
    if tables:
        listings.append(load_tables(tables, TableOptions(name, "any", labels, label=label)))
    listings.append(_list_files(files, name, label, named))
    listing = join_listings(listings)
    return (
        listing if named else distinct(listing)
    )  # a pattern may match a folder and what is in it


def _list_folder(path: str, name: str, label: int, labels: Labels) -> Listing:
    """Return the images of a folder, a ZIP file or a folder within one; see `load_images`."""
    found = find_images(path)
    for folder in found.folders[1:]:
        if labels.values.get(os.path.basename(folder.path).casefold(), label) == 1 - label:
            raise GenspotError(
                f"{name}: {folder.path} holds {('real', 'fake')[1 - label]} images by its name, "
                f"below {path}, of which all are {('real', 'fake')[label]}: move it out, or give "
                "other names, labels={real: [NAME], fake: [NAME]}"
            )
    tables = []
    if not found.file_ids.size and os.path.isdir(path):
        tables = tables_in(path, name, labels, of_one_split=label >= 0)
    if tables:
        return load_tables(tables, TableOptions(name, "any", labels, label=label))
    table = sample_table([])
    if found.file_ids.size:  # else its own name may not be UTF-8
        paths = [join_paths(path, found.names)]
        table = join_samples([LabelFolder(path, "", label)], paths, name)
    left_out = [*left_out_of_zip(path), *found.left_out]
    return Listing(table, _left_out(left_out, name, label), found.file_ids)


def _list_files(files: list[str], name: str, label: int, named: bool) -> Listing:
    """Return those of the files that are images; see `list_images`.

    Raises:
        GenspotError: a ZIP file lacks the one that is named.
    """
    reasons = {one: None if named else _reason_not_an_image(one) for one in files}
    reasons |= {one: NOT_UTF8 for one in files if utf8_path(one) != one}
    images = [one for one, reason in reasons.items() if not reason]
    for one in images if named else ():
        if (archive := zip_of(one)) and archive[1] not in archive[0].members:
            raise GenspotError(f"{name}: nothing is at {one}")
    left_out = [(one, reason) for one, reason in reasons.items() if reason]
    table = sample_table([(one, name, "", label) for one in images])
    return Listing(
        table, _left_out(left_out, name, label), np.array(list(map(file_id, images)), np.int64)
    )


def _reason_not_an_image(file: str) -> str | None:
    return None if file.lower().endswith(EXTENSIONS) else reason_not_an_image(file)


def _left_out(found: list[LeftOut], name: str, label: int) -> pa.Table:
    rows = [(utf8_path(path), name, "", label, reason) for path, reason in found]
    return sample_table(rows, SKIPPED_SCHEMA)


def find_generators(table: Mapping[str, Any], name: str, labels: Labels) -> Generators | None:
    """Return the generators that a column of tables names; None if the place is no table.

    Args:
        table: a place with names of columns.
        name: of the data set, in messages.
        labels: names of the labels.

    Raises:
        GenspotError: a table is missing or damaged, or lacks a column.
    """
    if "hub" in table:
        from genspot.data.hub import fetch

        files = fetch(table, labels)
    else:
        files = find_tables(table["path"], name, labels)
    return list_generators(files, TableOptions(name, "any", labels, table)) if files else None
