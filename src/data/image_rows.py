"""The images in the rows of Parquet and Arrow files, listed without one of them being read."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.common.containers import container_of, open_container
from genspot.common.errors import GenspotError
from genspot.common.image_tables import (
    NULL,
    ParquetImages,
    TableImages,
    features,
    holds_images,
    image_columns,
)
from genspot.common.images import UnreadableError
from genspot.common.ranks import is_rank_zero
from genspot.common.text import printable, safe_repr
from genspot.data.lists import (
    CLASS,
    GENERATOR,
    LABEL,
    Location,
    Row,
    TableOptions,
    find_file,
    table_rows,
)

log = logging.getLogger(__name__)

ENDINGS = (".parquet", ".arrow")
IMAGE = "image"
USUAL = {LABEL: (LABEL, "labels"), CLASS: (CLASS,), GENERATOR: (GENERATOR,)}
LARGE_GROUP = 2**26  # bytes of images that a random read decompresses


def image_rows(file: str, options: TableOptions) -> Iterator[Row | None]:
    """Return the rows of a file; see `genspot.data.lists.table_rows`.

    Raises:
        GenspotError: the file cannot be read, or a column is missing or needs to be chosen.
    """
    table = _open(file, options.name)
    image = _image_column(table, file, options)
    texts = _texts(table, file, options, needs_label=options.label is None)
    with _named(file, options.name):
        nulls = table.nulls(image)
    prefix = "" if options.columns.get(IMAGE) is None else f"{image}/"
    status = os.stat(file)

    def locate(row: int) -> Location:
        identity = hash((status.st_dev, status.st_ino, f"{prefix}{row}"))
        if row not in nulls:
            return Location(f"{file}/{prefix}{row}", "", identity)
        if outside := nulls[row]:  # Hugging Face's cache of a folder of images
            return find_file(os.path.normpath(os.path.join(os.path.dirname(file), outside)))
        return Location(f"{file}/{prefix}{row}", NULL, identity)

    return table_rows(texts, table.rows, options, locate)


@contextmanager
def _named(file: str, name: str) -> Iterator[None]:
    """Raise what is damaged in `file` in the block as GenspotError."""
    try:
        yield
    except (UnreadableError, pa.ArrowException, OSError) as error:
        raise GenspotError(f"{name}: {file} is damaged: {printable(str(error))}") from None


def row_columns(file: str, options: TableOptions) -> dict[str, list[str]]:
    """Return the columns of labels, classes and generators, as far as there are any, as texts."""
    return _texts(_open(file, options.name), file, options, needs_label=False)


def _open(file: str, name: str) -> TableImages:
    try:
        table = open_container(file)
    except (UnreadableError, OSError) as error:
        raise GenspotError(f"{name}: {error}") from None
    assert isinstance(table, TableImages)
    return table


def _image_column(table: TableImages, file: str, options: TableOptions) -> str:
    name, found = options.name, image_columns(table.schema)
    if (chosen := options.columns.get(IMAGE)) is not None:
        if chosen in table.schema.names and holds_images(table.schema.field(chosen).type):
            return str(chosen)
        raise GenspotError(f"{name}: {file} has no images in {chosen}; {_columns_of(table)}")
    if len(found) == 1:
        return found[0]
    what = f"images in several columns, {', '.join(found)}" if found else "no column of images"
    raise GenspotError(
        f"{name}: {file} has {what}; choose one, {{path: {file}, image: COLUMN}}; "
        f"{_columns_of(table)}"
    )


def _columns_of(table: TableImages) -> str:
    named = (f"{field.name} ({field.type})" for field in table.schema)
    return f"there are: {safe_repr(', '.join(named), 1000)}"


def _texts(
    table: TableImages, file: str, options: TableOptions, needs_label: bool
) -> dict[str, list[str]]:
    """Return the columns of labels, classes and generators as texts; null is "".

    Raises:
        GenspotError: a column is missing or damaged.
    """
    there = {one.strip().casefold(): one for one in reversed(table.schema.names)}
    found = {}
    for key, usual in USUAL.items():
        chosen = options.columns.get(key)
        names = usual if chosen is None else (chosen,)
        column = next((there[one.casefold()] for one in names if one.casefold() in there), None)
        if column is None and (chosen is not None or (key == LABEL and needs_label)):
            raise GenspotError(
                f"{options.name}: {file} has no column {chosen or key}; choose one, {{path: "
                f"{file}, {key}: COLUMN}}, or give the label, {{real: PATH, fake: PATH}}; "
                f"{_columns_of(table)}"
            )
        if column is not None:
            found[key] = column
    described = features(table.schema)
    with _named(file, options.name):
        values = table.columns(sorted(set(found.values())))
        for key, one in found.items():
            if pa.types.is_nested(values[one].type):
                raise GenspotError(
                    f"{options.name}: the column {one} of {file} holds no texts or numbers: give "
                    f"another for {key}"
                )
        return {key: _as_texts(values[one], described.get(one, {})) for key, one in found.items()}


def _as_texts(values: pa.ChunkedArray, feature: Mapping[str, Any]) -> list[str]:
    """Return a column as texts: of Hugging Face's classes their names, of booleans 0 and 1."""
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    texts = []
    for chunk in values.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        known = ["" if one is None else str(one).strip() for one in encoded.dictionary.to_pylist()]
        if isinstance(names, list):
            known = [_class_name(one, names) for one in known]
        codes = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        texts += np.array([*known, ""], object)[codes].tolist()
    return texts


def _class_name(number: str, names: list[Any]) -> str:
    return str(names[int(number)]) if number.isdecimal() and int(number) < len(names) else number


def warn_of_large_row_groups(paths: pa.ChunkedArray) -> None:
    """Log that a training on these images is slow, if they are in large row groups.

    The first file stands for all.
    """
    path = paths[0].as_py()
    file = container_of(path)
    if file == path or not file.lower().endswith(".parquet") or not is_rank_zero():
        return
    table = open_container(file)
    assert isinstance(table, ParquetImages)
    columns = image_columns(table.schema)
    size = max(map(table.group_bytes, columns))
    if size > LARGE_GROUP:
        log.warning(
            "%s has row groups of up to %.0f MB: a shuffled training decompresses one for nearly "
            "each image; write them with 100 rows or fewer, or use an .arrow file or a folder",
            file,
            size / 1e6,
        )
