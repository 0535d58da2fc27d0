"""Reference photos: a table of the logits and traits of real photos, which grades rest on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from genspot.common.errors import GenspotError
from genspot.common.tables import read_parquet, write_parquet
from genspot.common.text import safe_repr
from genspot.evaluation.conformal import MIN_REFERENCES, Cell

VERSION = 1  # of the form of the file
SUFFIX = ".reference.parquet"
KEY = b"genspot.reference"  # in the metadata of the Parquet file
# What a photo must be scored with as the references were, and the word for another one.
FIXED = {
    "checkpoint": "another checkpoint",
    "model": "other settings of the model",
    "crop": "another crop",
    "protocol": "another protocol",
}
COLUMNS = {
    "logit": pa.types.is_floating,
    "format": pa.types.is_string,
    "jpeg_quality": pa.types.is_integer,
    "width": pa.types.is_integer,
    "height": pa.types.is_integer,
    "flat_share": pa.types.is_floating,
}
MAY_BE_NULL = ("jpeg_quality",)

JPEG, NO_JPEG = "JPEG", "no traces of JPEG"
# Upper ends of the classes of quality and of megapixels.
QUALITIES = (60, 80, 90)
MEGAPIXELS = (0.25, 1, 4, 16)


@dataclass(frozen=True)
class Reference:
    """The reference photos of a detector.

    Attributes:
        table: the columns of `COLUMNS`, a row for each photo, at least `MIN_REFERENCES`.
        about: what they were scored with (`FIXED`), and `inputs`: where they are from.
    """

    table: pa.Table
    about: Mapping[str, Any]

    @cached_property
    def cells(self) -> list[Cell]:
        """The cell of each photo."""
        return [find_cell(row) for row in self.table.to_pylist()]

    @cached_property
    def counts(self) -> Counter[Cell]:
        """Cell → number of its photos."""
        return Counter(self.cells)

    @property
    def kinds(self) -> Counter[str]:
        """Kind, `JPEG` or `NO_JPEG` → number of its photos."""
        return Counter(cell[0] for cell in self.cells)

    @cached_property
    def logits(self) -> np.ndarray:
        """The logit of each photo, float64."""
        return self.table["logit"].to_numpy().astype(np.float64)

    def write(self, path: Path) -> None:
        """Write the reference to `path` as Parquet, `about` in its metadata."""
        about = json.dumps({"version": VERSION, **self.about}).encode()
        write_parquet(self.table.replace_schema_metadata({KEY: about}), path)


def beside(checkpoint: Path) -> Path:
    """Return where the reference of a checkpoint lies by default: best.reference.parquet."""
    return checkpoint.with_name(checkpoint.stem + SUFFIX)


def is_reference(path: Path) -> bool:
    """Return whether a file is a reference, of any version and detector."""
    try:
        with path.open("rb") as file:
            return KEY in (pyarrow.parquet.read_schema(file).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def read_reference(path: Path, expected: Mapping[str, Any]) -> Reference:
    """Return the reference in the file at `path`.

    Args:
        path: of a file that `Reference.write` wrote.
        expected: what photos are scored with now; the keys of `FIXED`.

    Raises:
        GenspotError: it cannot be read or is of another form, or it was made with another
            checkpoint, model, crop or protocol.
    """
    try:
        table = read_parquet(path)
        about = json.loads((table.schema.metadata or {})[KEY])
        if about["version"] != VERSION:
            raise ValueError(f"its form is version {safe_repr(about['version'])}")
        _check(table)
    except FileNotFoundError as error:
        raise GenspotError(
            f"reference={path} does not exist; task=reference checkpoint=PATH "
            "reference=FILE inputs=PHOTOS makes one"
        ) from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = safe_repr(" ".join(str(error).split()))
        raise GenspotError(
            f"reference={path} is no reference of this version of genspot ({reason}); make it "
            "again: task=reference checkpoint=PATH reference=FILE inputs=PHOTOS"
        ) from error
    if other := first_difference(about, expected):
        raise GenspotError(
            f"reference={path} was made with {other}; make one with task=reference "
            "checkpoint=PATH reference=FILE inputs=PHOTOS and the same settings, or give "
            "reference=none"
        )
    return Reference(table.select(list(COLUMNS)).replace_schema_metadata(None), about)


def first_difference(about: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return the first of `FIXED` that differs, in words with both values; "" if none does.

    Args:
        about: what images were scored with, as it is read from JSON.
        expected: what photos are scored with now; the keys of `FIXED`.
    """
    expected = json.loads(json.dumps(dict(expected)))  # as `about` was: no tuples
    for key, words in FIXED.items():
        if about.get(key) != expected[key]:
            pair = [
                safe_repr("none" if one is None else one)
                for one in (about.get(key), expected[key])
            ]
            values = f" ({key}={pair[0]}, not {pair[1]})"
            return words if key == "model" else words + values
    return ""


def _check(table: pa.Table) -> None:
    """Raise ValueError if the columns are not those of a reference."""
    for name, is_right in COLUMNS.items():
        if name not in table.column_names or not is_right(table[name].type):
            raise ValueError(f"no column {name}, or one of another type")
        if name not in MAY_BE_NULL and table[name].null_count:
            raise ValueError(f"empty cells in the column {name}")
    if not np.isfinite(table["logit"].to_numpy()).all():
        raise ValueError("a logit that is not finite")
    check_number(len(table))


def check_number(count: int, left_out: str = "") -> None:
    """Raise GenspotError if `count` reference photos are too few for a rate of 1%.

    Args:
        count: of the photos that are kept.
        left_out: how many others there were, and why they were left out.
    """
    if count < MIN_REFERENCES:
        others = f" ({left_out} left out)" if left_out else ""
        raise GenspotError(
            f"{count} reference photos are too few{others}: a false-alarm rate of 1% needs at "
            f"least {MIN_REFERENCES}; give more, inputs=[FOLDER,FOLDER]"
        )


def find_cell(traits: Mapping[str, Any]) -> Cell:
    """Return the labels of a photo's traits: JPEG or not, quality ("" without), megapixels.

    Args:
        traits: of a photo that could be read; the keys of `COLUMNS` but `logit`.
    """
    quality = traits["jpeg_quality"]
    size = _class("", megapixels(traits), MEGAPIXELS, " megapixels")
    if quality is None:
        return NO_JPEG, "", size
    return JPEG, _class("quality", quality, QUALITIES, ""), size


def megapixels(traits: Mapping[str, Any]) -> float:
    """Return the size of a photo in megapixels."""
    return float(traits["width"]) * float(traits["height"]) / 1e6


def _class(name: str, value: float, ends: tuple[float, ...], unit: str) -> str:
    """Return the class of a value, which is below the upper end of it: "quality 60 to 80"."""
    place = sum(value >= end for end in ends)
    if place == 0:
        words = f"below {ends[0]:g}"
    elif place == len(ends):
        words = f"{ends[-1]:g} and above"
    else:
        words = f"{ends[place - 1]:g} to {ends[place]:g}"
    return f"{name} {words}{unit}".strip()
