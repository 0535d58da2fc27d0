"""The images of a prediction."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from genspot.common.containers import matches
from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.data.layout import Listing, distinct, join_listings
from genspot.data.places import list_images
from genspot.data.settings import DEFAULT_LABELS
from genspot.data.walk import NOT_UTF8

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
    return distinct(join_listings([_list_input(str(one)) for one in several]))


def _list_input(path: str) -> Listing:
    there = matches(path)
    if not there:
        reason = "nothing matches" if glob.has_magic(path) else "no such file or folder"
        raise GenspotError(f"inputs={utf8_path(path)}: {reason}")
    if utf8_path(path) != path and not os.path.isdir(path):
        raise GenspotError(f"inputs={utf8_path(path)}: {NOT_UTF8}")
    listing = list_images(there, NAME, UNKNOWN, DEFAULT_LABELS, named=there == [path])
    if not len(listing.table):
        raise GenspotError(f"inputs={utf8_path(path)}: no images there{listing.first_skipped()}")
    return listing
