"""Files of tables: lists of images, and Parquet and Arrow files of encoded images."""

from __future__ import annotations

import glob
import os
import re
from typing import Any

import numpy as np

from genspot.common.containers import matches
from genspot.common.errors import GenspotError
from genspot.data.image_rows import ENDINGS, image_rows, row_columns
from genspot.data.label_folders import first_of
from genspot.data.layout import SKIPPED_SCHEMA, Listing, sample_table
from genspot.data.lists import (
    UNKNOWN_LABEL,
    Generators,
    Row,
    TableOptions,
    count_generators,
    is_list,
    list_columns,
    list_rows,
)
from genspot.data.settings import Labels
from genspot.data.walk import walk

SPLIT = re.compile(r"(train|test|val|validation|dev)[-_.]")  # as files of Hugging Face begin


def load_tables(files: list[str], options: TableOptions) -> Listing:
    """Return the images of tables, in their order; a path that is repeated counts once.

    Raises:
        GenspotError: a table cannot be read, or lacks a column; no image is left; a class or the
            generator `only` has none; an image has two labels; or images of one label are left,
            and the labels of others are unknown.
    """
    read = [list_rows if is_list(file) else image_rows for file in files]
    every = [row for file, rows in zip(files, read, strict=True) for row in rows(file, options)]
    found = [row for row in every[: options.columns.get("limit")] if row is not None]
    where = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    only = options.columns.get("only")
    if only is not None and not any(row.is_own for row in found):
        known = ", ".join(list_generators(files, options).names) or "none"
        raise GenspotError(
            f"{options.name}: {where} has no image of the generator {only}; there are: {known}"
        )
    return _make_listing(where, options, found)


def list_generators(files: list[str], options: TableOptions) -> Generators:
    """Return the generators that a column of tables names."""
    read = [list_columns if is_list(file) else row_columns for file in files]
    parts = [
        count_generators(columns(file, options), options.labels)
        for file, columns in zip(files, read, strict=True)
    ]
    names = dict.fromkeys(name for part in parts for name in part.names)
    return Generators(list(names), any(part.shared_reals for part in parts))


def _make_listing(where: str, options: TableOptions, rows: list[Row]) -> Listing:
    name, classes = options.name, options.classes
    if isinstance(classes, list):
        rows = [row for row in rows if row.class_name in classes]
        if missing := sorted({*classes} - {row.class_name for row in rows}):
            raise GenspotError(f"{name}: {where} lacks the classes {', '.join(missing)}")
    kept: dict[str, Row] = {}
    label_of: dict[int, int] = {}  # by the file
    for row in rows:
        if not row.reason:
            if label_of.setdefault(row.file_id, row.label) != row.label:
                raise GenspotError(f"{name}: {where} lists {row.path} as real and as fake")
            kept.setdefault(row.path, row)
    skipped = [row[:5] for row in rows if row.reason]
    if not kept:
        raise GenspotError(f"{name}: no image in {where}{first_of(skipped)}{_hint(skipped)}")
    unknown = [row for row in skipped if row[-1].startswith(UNKNOWN_LABEL)]
    if unknown and len({row.label for row in kept.values()}) == 1:
        side = ("real", "fake")[next(iter(kept.values())).label]
        raise GenspotError(
            f"{name}: {where} would be a set of {side} images alone, for the labels of the others "
            f"are unknown{first_of(unknown)}{_hint(skipped)}"
        )
    table = sample_table([row[:4] for row in kept.values()])
    file_ids = np.array([row.file_id for row in kept.values()], np.int64)
    return Listing(table, sample_table(skipped, SKIPPED_SCHEMA), file_ids)


def _hint(skipped: list[tuple[Any, ...]]) -> str:
    """Return a clause that says how unknown labels are made known; "" if they are not at fault."""
    unknown = any(row[-1].startswith(UNKNOWN_LABEL) for row in skipped)
    return "; give the names of the labels: labels={real: [NAME], fake: [NAME]}" * unknown


def find_tables(path: str, name: str, labels: Labels) -> list[str]:
    """Return the lists and files of encoded images at `path`: none for label folders and others.

    Raises:
        GenspotError: a pattern matches nothing, or a folder holds tables of several splits.
    """
    full = os.path.abspath(path)
    if os.path.isdir(full):
        return tables_in(full, name, labels)
    files = matches(full)
    if not files and glob.has_magic(path):
        raise GenspotError(f"{name}: nothing matches {path}")
    tables = list(filter(is_table, files))
    if tables and len(tables) < len(files):
        other = next(one for one in files if one not in tables)
        raise GenspotError(f"{name}: {path} matches {other}, which is no table of images")
    if len(files) > 1 and not tables:
        raise GenspotError(
            f"{name}: {path} matches files without labels: give a folder, or {{real: PATTERN, "
            "fake: PATTERN}"
        )
    return tables


def is_table(file: str) -> bool:
    """Return whether `file` is a list, or named as one of encoded images."""
    return file.lower().endswith(ENDINGS) or is_list(file)


def tables_in(folder: str, name: str, labels: Labels, of_one_split: bool = True) -> list[str]:
    """Return the files of encoded images directly in a folder; none if it has label folders.

    Raises:
        GenspotError: they are of several splits, and have to be of one.
    """
    with os.scandir(folder) as entries:
        found = [one.name for one in entries if one.name.lower().endswith(ENDINGS)]
    names = sorted(one for one in found if os.path.isfile(os.path.join(folder, one)))
    if not names or _has_label_folders(folder, labels):
        return []
    splits = sorted({begin[1] for one in names if (begin := SPLIT.match(one))})
    if of_one_split and len(splits) > 1:
        raise GenspotError(
            f"{name}: {folder} holds the splits {', '.join(splits)}: give those of one, such as "
            f"{os.path.join(folder, f'{splits[0]}*')}"
        )
    return [os.path.join(folder, one) for one in names]


def _has_label_folders(root: str, labels: Labels) -> bool:
    def is_label(name: str) -> bool:
        return name.casefold() in labels.values

    return any(any(map(is_label, folder.folders)) for folder in walk(root, [], is_label))
