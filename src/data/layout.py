"""Folders of real and fake images as tables of samples.

The released layout: `0_real/` and `1_fake/`, directly in a folder or in one folder per class.
Images may lie at any depth below them; see `genspot.data.walk`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.common.ranks import is_rank_zero
from genspot.data.label_folders import LabelFolder, find_label_images, first_of
from genspot.data.settings import DEFAULT_LABELS, Classes, Labels
from genspot.data.walk import (
    LeftOut,
    join_ids,
    join_paths,
)

log = logging.getLogger(__name__)

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
    file_ids: np.ndarray  # `genspot.data.walk.file_id` of each image; empty without the files

    def first_skipped(self) -> str:
        """Return a clause that names the first of what is left out; "" without any."""
        return first_of([tuple(row.values()) for row in self.skipped.to_pylist()])


class FolderImages(NamedTuple):
    """What was found in one label folder."""

    folder: LabelFolder
    paths: pa.Array
    left_out: list[LeftOut]
    file_ids: np.ndarray


def sample_table(rows: Iterable[tuple[Any, ...]], schema: pa.Schema = SAMPLE_SCHEMA) -> pa.Table:
    """Return a table of `SAMPLE_SCHEMA`, or of `SKIPPED_SCHEMA`, of rows in the order of it."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([list(column) for column in columns], schema=schema)


def load_folder(
    folder: str | Path, generator: str, classes: Classes, labels: Labels = DEFAULT_LABELS
) -> Listing:
    """Return the images below `folder`; see `genspot.data.label_folders` and `genspot.data.walk`.

    Raises:
        GenspotError: a folder is missing, there is no image, or see `find_label_images`.
    """
    root = os.path.abspath(folder)
    found, outside = find_label_images(root, generator, classes, labels)
    listed = [
        FolderImages(one, join_paths(one.path, images.names), images.left_out, images.file_ids)
        for one, images in found
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
        table, sample_table(rows, SKIPPED_SCHEMA), join_ids(one.file_ids for one in found)
    )


def join_listings(listings: list[Listing]) -> Listing:
    """Return the images of all `listings`, one after the other."""
    tables = [sample_table([]), *(one.table for one in listings)]
    skipped = [sample_table([], SKIPPED_SCHEMA), *(one.skipped for one in listings)]
    return Listing(
        pa.concat_tables(tables).unify_dictionaries(),
        pa.concat_tables(skipped).unify_dictionaries(),
        join_ids(one.file_ids for one in listings),
    )


def distinct(listing: Listing) -> Listing:
    """Return a listing in which each path counts once, however it is written.

    A container or folder that is left out in one place, but read in another, is not left out.
    """
    images = _first_rows(listing.table)
    taken = set[str]()
    for path in {os.path.dirname(path) for path in images}:
        while path not in taken:
            taken.add(path)
            path = os.path.dirname(path)
    rows = np.array(sorted(images.values()), np.int64)
    others = [row for path, row in _first_rows(listing.skipped).items() if path not in taken]
    left_out = listing.skipped.take(pa.array(sorted(others), pa.int64()))
    return Listing(listing.table.take(pa.array(rows)), left_out, listing.file_ids[rows])


def _first_rows(table: pa.Table) -> dict[str, int]:
    """Return absolute path → the first row with it."""
    paths = map(os.path.abspath, table["path"].to_pylist())
    return {path: row for row, path in reversed([*enumerate(paths)])}


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
