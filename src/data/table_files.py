"""Files of tables: lists of images, and Parquet and Arrow files of encoded images."""

from __future__ import annotations

import glob
import os
import re

from genspot.common.containers import matches
from genspot.common.errors import GenspotError
from genspot.data.image_rows import ENDINGS, load_rows
from genspot.data.layout import Listing, join_listings
from genspot.data.lists import TableOptions, is_list, load_list
from genspot.data.settings import Labels
from genspot.data.walk import walk

SPLIT = re.compile(r"(train|test|val|validation|dev)[-_.]")  # as files of Hugging Face begin


def load_tables(files: list[str], options: TableOptions) -> Listing:
    lists = [file for file in files if is_list(file)]
    rows = [file for file in files if file not in lists]
    listings = [load_list(one, options) for one in lists]
    if rows:
        listings.append(load_rows(rows, options))
    return join_listings(listings)


def find_tables(path: str, name: str, labels: Labels) -> list[str]:
    """Return the lists and files of encoded images at `path`: none for label folders and others.

    Raises:
        GenspotError: a pattern matches nothing, or a folder holds tables of several splits.
    """
    full = os.path.abspath(path)
    if os.path.isdir(full):
        return _tables_in(full, name, labels)
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
    return file.lower().endswith(ENDINGS) or is_list(file)


def _tables_in(folder: str, name: str, labels: Labels) -> list[str]:
    """Return the files of encoded images directly in a folder; none if it has label folders.

    Raises:
        GenspotError: they are of several splits.
    """
    with os.scandir(folder) as entries:
        found = [one.name for one in entries if one.name.lower().endswith(ENDINGS)]
    names = sorted(one for one in found if os.path.isfile(os.path.join(folder, one)))
    if not names or _has_label_folders(folder, labels):
        return []
    splits = sorted({begin[1] for one in names if (begin := SPLIT.match(one))})
    if len(splits) > 1:
        raise GenspotError(
            f"{name}: {folder} holds the splits {', '.join(splits)}: give those of one, such as "
            f"{os.path.join(folder, f'{splits[0]}*')}"
        )
    return [os.path.join(folder, one) for one in names]


def _has_label_folders(root: str, labels: Labels) -> bool:
    def is_label(name: str) -> bool:
        return name.casefold() in labels.values

    return any(any(map(is_label, folder.folders)) for folder in walk(root, [], is_label))
