"""Lists of images: CSV, TSV and Parquet files with a column of paths; texts of one path a line.

Columns are `path`, `label` and, if there are any, `class` and `generator`, in any order; others
are passed over. A path is relative to the folder of the list, and may be that of an image within
a container.
"""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from genspot.common.containers import INSIDE, container_of, is_container
from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.common.image_tables import image_columns
from genspot.common.text import printable, safe_repr
from genspot.data.settings import Classes, Labels
from genspot.data.walk import NOT_UTF8, file_id

TEXTS = (".csv", ".tsv", ".txt")
PATH, LABEL, CLASS, GENERATOR = "path", "label", "class", "generator"
MISSING = "no such file"
UNKNOWN_LABEL = "label "  # begins the reason for leaving out a row


@dataclass(frozen=True)
class TableOptions:
    """What is taken of a table, as which data set."""

    name: str  # of the data set
    classes: Classes  # a list of classes takes only these
    labels: Labels
    # Of a `Place`: the names of the columns `image`, `label`, `class` and `generator`; `only`, the
    # one generator whose images are taken, with the real images of none; and `limit`, to take that
    # many of the first rows of encoded images.
    columns: Mapping[str, Any] = field(default_factory=dict)
    label: int | None = None  # of all images, whatever the table says; None: as its column says


class Location(NamedTuple):
    """Where the image of a row is."""

    path: str
    reason: str  # why it is left out; "" if it is taken
    file_id: int  # see `genspot.data.walk.file_id`


class Row(NamedTuple):
    """One image of a table."""

    path: str  # absolute, or relative to the working directory where that of the table is
    generator: str  # the name of the set
    class_name: str
    label: int  # 0 real, 1 fake, -1 unknown
    reason: str  # why it is left out; "" if it is taken
    file_id: int  # see `genspot.data.walk.file_id`
    is_own: bool  # whether it is of the generator `only`, not shared by all


class Generators(NamedTuple):
    """The generators in a table."""

    names: list[str]  # in the order in which they appear
    shared_reals: bool  # whether there are real images of no generator, which belong to each


def is_list(file: str) -> bool:
    """Return whether `file` is a list: by its ending, or a Parquet file of paths, not of images.

    Raises:
        GenspotError: it is a damaged Parquet file.
    """
    ending = os.path.splitext(file)[1].lower()
    if ending != ".parquet":
        return ending in TEXTS
    with _named(file):
        schema = pq.read_schema(file)
    return PATH in (name.strip().casefold() for name in schema.names) and not image_columns(schema)


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Raise what goes wrong with `file` in the block as GenspotError."""
    try:
        yield
    except OSError as error:
        raise GenspotError(f"{file}: {error.strerror or printable(str(error))}") from error
    except UnicodeDecodeError as error:
        raise GenspotError(f"{file} is not in UTF-8: save it as CSV in UTF-8") from error
    except (csv.Error, pa.ArrowException) as error:
        raise GenspotError(f"{file} cannot be read: {printable(str(error))}") from error


def read_columns(file: str, names: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Return columns of a list as texts, without spaces around them; null is "".

    Args:
        file: the list.
        names: the columns by what they say (`path`, `label`, …), each with the name that was
            chosen, or None for the usual one. `path` and chosen ones must be there.

    Raises:
        GenspotError: the file cannot be read, or lacks a column.
    """
    ending = os.path.splitext(file)[1].lower()
    with _named(file):
        table = _read_text(file, ending) if ending in TEXTS else None
        header = list(pq.read_schema(file).names if table is None else table)
        there = {name.strip().casefold(): name for name in reversed(header)}
        chosen = {key: there.get((name or key).strip().casefold()) for key, name in names.items()}
        for key, name in names.items():
            if chosen[key] is None and (name or key == PATH):
                there_are = safe_repr(", ".join(header)) or "none"
                if len(header) == 1 and any(sign in header[0] for sign in ";\t"):
                    there_are += ", one column: separate them by commas (.csv) or tabs (.tsv)"
                raise GenspotError(
                    f"{file}: no column {safe_repr(name or key)}; the first line must name the "
                    f"columns, and there are: {there_are}"
                )
        found = {key: name for key, name in chosen.items() if name is not None}
        if table is not None:
            return {key: table[name] for key, name in found.items()}
        return {key: _column_texts(file, name) for key, name in found.items()}


def _read_text(file: str, ending: str) -> dict[str, list[str]]:
    """Return the columns of a CSV file; what a row lacks is "", and what it has more is left out.

    The module csv is used: Arrow's reader refuses a file with one row of another length.
    """
    with open(file, encoding="utf-8-sig", newline="") as opened:
        if ending == ".txt":
            return {PATH: [line.strip() for line in opened if line.strip()]}
        reader = csv.reader(opened, delimiter="\t" if ending == ".tsv" else ",", strict=True)
        try:
            header = next(reader, [])
            rows = [(row + [""] * len(header))[: len(header)] for row in reader if row]
        except csv.Error as error:
            raise csv.Error(f"line {reader.line_num}: {error}") from error
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    return {
        name: [text.strip() for text in column]
        for name, column in zip(header, columns, strict=True)
    }


def _column_texts(file: str, column: str) -> list[str]:
    values = pq.read_table(file, columns=[column], partitioning=None).column(0)
    return [text.strip() for text in values.cast(pa.large_string()).fill_null("").to_pylist()]


def list_rows(file: str, options: TableOptions) -> Iterator[Row | None]:
    """Return the rows of a list; see `table_rows`.

    Raises:
        GenspotError: the list cannot be read, or has no label.
    """
    labels = options.labels
    texts = list_columns(file, options)
    if options.label is None and LABEL not in texts:
        raise GenspotError(
            f"{options.name}: {file} has no column label, with {labels.real[0]} or "
            f"{labels.fake[0]} in each row; without one: {{real: LIST, fake: LIST}}"
        )
    folder = os.path.dirname(file)
    if utf8_path(folder) != folder:
        raise GenspotError(f"{utf8_path(folder)}: {NOT_UTF8}")

    def locate(number: int) -> Location:
        if not (path := texts[PATH][number]):
            return Location(file, f"row {number + 1} has no path", 0)
        return find_file(os.path.normpath(os.path.join(folder, path)))

    return table_rows(texts, len(texts[PATH]), options, locate)


def table_rows(
    texts: Mapping[str, list[str]],
    count: int,
    options: TableOptions,
    locate: Callable[[int], Location],
) -> Iterator[Row | None]:
    """Yield the rows of a table, None for those of other generators.

    Args:
        texts: its columns `label`, `class` and `generator`, as far as there are any.
        count: of its rows.
        options: what is taken.
        locate: returns where the image of a row is.
    """
    empty = [""] * count
    if options.label is None:
        codes = label_codes(texts[LABEL], options.labels)
    else:
        codes = [options.label] * count
    others = [texts.get(key, empty) for key in (LABEL, CLASS, GENERATOR)]
    only = options.columns.get("only")
    for number, (code, text, class_name, generator) in enumerate(zip(codes, *others, strict=True)):
        is_shared = code == 0 and is_real_set(generator, options.labels)
        # What belongs to no generator is named as left out by each.
        if only is not None and generator not in (only, "") and not is_shared:
            yield None
            continue
        path, reason, file_id = locate(number)
        if not reason and code < 0 and options.label is None:
            reason = f"{UNKNOWN_LABEL}{safe_repr(text)}" if text else "no label"
        elif not reason and only is not None and not generator and not is_shared:
            reason = "a fake image without a generator"
        yield Row(path, options.name, class_name, code, reason, file_id, generator == only)


def list_columns(file: str, options: TableOptions) -> dict[str, list[str]]:
    """Return the columns of a list that are of use; see `read_columns`."""
    columns = options.columns
    names = {key: columns.get(key) for key in (LABEL, CLASS, GENERATOR)}
    return read_columns(file, {PATH: columns.get("image"), **names})


def count_generators(texts: Mapping[str, list[str]], labels: Labels) -> Generators:
    """Return the generators of a table with these columns, of which each may be missing."""
    generators = texts.get(GENERATOR, [])
    codes = label_codes(texts.get(LABEL, [""] * len(generators)), labels)
    pairs = list(dict.fromkeys(zip(generators, codes, strict=False)))
    shared = [code == 0 and is_real_set(name, labels) for name, code in pairs]
    own = [name for (name, _), one in zip(pairs, shared, strict=True) if name and not one]
    return Generators(list(dict.fromkeys(own)), any(shared))


def label_codes(texts: list[str], labels: Labels) -> list[int]:
    """Return the label of each text, a name of `labels` or a number; -1 for any other."""
    # Floats: pandas writes them beside nulls. False and True: as Python and pandas write booleans.
    numbers = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
    known = numbers | labels.values
    return [known.get(text.casefold(), -1) for text in texts]


def is_real_set(generator: str, labels: Labels) -> bool:
    """Return whether real images with this text in the column belong to every generator."""
    return not generator or labels.values.get(generator.casefold()) == 0


def find_file(path: str) -> Location:
    """Return where the file of an image is, and why it is left out if it is not there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        inside = getattr(error, "errno", None) in INSIDE and is_container(container_of(path))
        return Location(path, "" if inside else MISSING, file_id(path) if inside else 0)
    identity = hash((status.st_dev, status.st_ino))
    return Location(path, "" if stat.S_ISREG(status.st_mode) else "no file", identity)
