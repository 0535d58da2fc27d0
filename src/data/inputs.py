"""The images of a prediction."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.containers import KINDS, container_of
from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.data.label_folders import LabelFolder, first_of
from genspot.data.layout import (
    SKIPPED_SCHEMA,
    Listing,
    join_listings,
    join_samples,
    sample_table,
)
from genspot.data.lists import is_list
from genspot.data.places import load_images
from genspot.data.walk import (
    NOT_UTF8,
    LeftOut,
    file_id,
    find_images,
    join_paths,
    reason_not_an_image,
)

UNKNOWN = -1  # the label
NAME = "inputs"


def list_inputs(inputs: str | Path | Sequence[str | Path]) -> Listing:
    """Return the images of a prediction, with unknown labels; an image given twice counts once.

    Args:
        inputs: a photo, a folder, a pattern, a ZIP file, a list (.csv, .tsv, .parquet, or .txt
            with one path a line) or a file of encoded images, or several of these.

    Raises:
        GenspotError: one of them does not exist or holds no image.
    """
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    return _distinct(join_listings([_list_input(str(one)) for one in several]))


def _list_input(path: str) -> Listing:
    if os.path.exists(path) or _is_container(container_of(path)):
        return _list_existing(path)
    matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
    if not matches:
        reason = "nothing matches" if glob.has_magic(path) else "no such file or folder"
        raise GenspotError(f"inputs={utf8_path(path)}: {reason}")
    listings = [_list_folder(one) for one in matches if os.path.isdir(one)]
    files = [one for one in matches if not os.path.isdir(one)]
    listings += [load_images(one, NAME, UNKNOWN) for one in files if _is_container(one)]
    listings.append(_list_files([one for one in files if not _is_container(one)]))
    return _not_empty(path, join_listings(listings))


def _list_existing(path: str) -> Listing:
    """Return the images at a path; a file that is no container and no list is an image."""
    if os.path.isdir(path):
        return _not_empty(path, _list_folder(path))
    if os.path.isfile(path) and (_is_container(path) or is_list(path)):
        return load_images(path, NAME, UNKNOWN)
    if utf8_path(path) != path:
        raise GenspotError(f"inputs={utf8_path(path)}: {NOT_UTF8}")
    ids = np.array([file_id(path)], np.int64)
    table = sample_table([(path, NAME, "", UNKNOWN)])
    return Listing(table, sample_table([], SKIPPED_SCHEMA), ids)


def _is_container(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in KINDS


def _list_folder(path: str) -> Listing:
    found = find_images(path)
    table = sample_table([])
    if found.file_ids.size:
        paths = [join_paths(path, found.names)]
        table = join_samples([LabelFolder(path, "", UNKNOWN)], paths, NAME)
    return Listing(table, _left_out(found.left_out), found.file_ids)


def _list_files(paths: list[str]) -> Listing:
    """Return those of the files that are images; the others are left out."""
    reasons = {
        one: reason_not_an_image(one) if utf8_path(one) == one else NOT_UTF8 for one in paths
    }
    images = [one for one, reason in reasons.items() if not reason]
    table = sample_table([(one, NAME, "", UNKNOWN) for one in images])
    left_out = _left_out([(one, reason) for one, reason in reasons.items() if reason])
    return Listing(table, left_out, np.array(list(map(file_id, images)), np.int64))


def _left_out(found: list[LeftOut]) -> pa.Table:
    rows = [(utf8_path(path), NAME, "", UNKNOWN, reason) for path, reason in found]
    return sample_table(rows, SKIPPED_SCHEMA)


def _not_empty(path: str, listing: Listing) -> Listing:
    """Return a listing; raise GenspotError if it has no image."""
    if not len(listing.table):
        left_out = [tuple(row.values()) for row in listing.skipped.to_pylist()]
        raise GenspotError(f"inputs={utf8_path(path)}: no images there{first_of(left_out)}")
    return listing


def _distinct(listing: Listing) -> Listing:
    """Return a listing in which each path counts once, however it is written."""
    paths = map(os.path.abspath, listing.table["path"].to_pylist())
    rows = sorted({path: row for row, path in reversed([*enumerate(paths)])}.values())
    if len(rows) == len(listing.table):
        return listing
    return Listing(listing.table.take(rows), listing.skipped, listing.file_ids[rows])
