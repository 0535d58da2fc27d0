"""Parquet and Arrow files with a column of encoded images, as Hugging Face writes them."""

from __future__ import annotations

import abc
import bisect
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genspot.common.images import UnreadableError, check_size
from genspot.common.text import printable

IMAGE_NAMES = ("image", "img", "image_data", "image_bytes", "bytes", "png", "jpg", "jpeg", "webp")
ARROW_FILE = b"ARROW1"  # how an Arrow file begins; what begins otherwise is a stream
NULL = "null instead of an image"
MAX_GROUP_BYTES = 2**32  # of a row group's images, decompressed
KEPT_BYTES = 2**28  # of row groups that a process keeps; the last one is kept however large


def features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Return Hugging Face's description of the columns, by their names; {} without any."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: value for name, value in found.items() if isinstance(value, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def image_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that may be the images: one, unless that needs to be chosen.

    Hugging Face's description counts before usual names, and those before the type alone.
    """
    described = features(schema)
    typed = [field.name for field in schema if holds_images(field.type)]
    for chosen in (
        [name for name in typed if described.get(name, {}).get("_type") == "Image"],
        [name for name in typed if name.lower() in IMAGE_NAMES],
    ):
        if chosen:
            return chosen
    return typed


def holds_images(kind: pa.DataType) -> bool:
    """Return whether a column of this type may hold encoded images."""
    if pa.types.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        return "bytes" in names and holds_images(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or kind == pa.binary_view()


class TableImages(abc.ABC):
    """The encoded images of a table; subclasses say how its columns are read.

    Attributes:
        schema: of the table.
        rows: their number.
    """

    schema: pa.Schema
    rows: int

    @abc.abstractmethod
    def columns(self, names: list[str]) -> pa.Table:
        """Return these columns; none of them holds images."""

    @abc.abstractmethod
    def null_parts(self, column: str) -> Iterator[tuple[int, pa.ChunkedArray]]:
        """Yield the parts of a column of images that may hold nulls, with their first rows."""

    @abc.abstractmethod
    def value(self, column: str, row: int) -> pa.Scalar:
        """Return one value of a column of images."""

    def nulls(self, column: str) -> dict[int, str | None]:
        """Return the rows without an encoded image → the path of a file that is it, or None."""
        found: dict[int, str | None] = {}
        for start, values in self.null_parts(column):
            paths = None
            if pa.types.is_struct(values.type):
                if values.type.get_field_index("path") >= 0:
                    paths = pc.struct_field(values, "path")
                values = pc.struct_field(values, "bytes")  # null where the struct is
            for row in np.flatnonzero(values.is_null().to_numpy()).tolist():
                found[start + row] = paths[row].as_py() if paths else None
        return found

    def read(self, place: str, max_bytes: int) -> bytes:
        """Return the image at `place`, ROW or COLUMN/ROW; see `containers.Container.read`."""
        column, _, row = place.rpartition("/")
        columns = [column] if column else image_columns(self.schema)
        if len(columns) != 1 or columns[0] not in self.schema.names or not row.isdecimal():
            raise UnreadableError(f"no image {printable(place)} in the file")
        if int(row) >= self.rows:
            raise UnreadableError(f"no row {row} in the file, which has {self.rows}")
        try:
            value = self.value(columns[0], int(row))
        except (pa.ArrowException, OSError) as error:
            raise UnreadableError(f"the file is damaged: {printable(str(error))}") from None
        if isinstance(value, pa.StructScalar) and value.is_valid:
            value = value["bytes"]
        if not value.is_valid:
            raise UnreadableError(NULL)
        content = value.as_buffer()
        check_size(content.size, max_bytes)
        return bytes(content.to_pybytes())


class ParquetImages(TableImages):
    """The images of a Parquet file, of which a row group is read at once.

    The last row groups are kept, so images in the order of the file are read once.

    Raises:
        pyarrow.ArrowException: the file is damaged.
    """

    def __init__(self, path: str) -> None:
        self.file = pq.ParquetFile(pa.memory_map(path))
        self.schema = self.file.schema_arrow
        metadata = self.file.metadata
        self.groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        self.starts = [0, *itertools.accumulate(group.num_rows for group in self.groups)]
        self.rows = self.starts[-1]

    def columns(self, names: list[str]) -> pa.Table:
        """Return these columns; the others are not read."""
        return self.file.read(names, use_threads=False)

    def group_bytes(self, column: str) -> int:
        """Return the size of the largest row group of a column, decompressed, in bytes."""
        return max((_column_bytes(group, column) for group in self.groups), default=0)

    def null_parts(self, column: str) -> Iterator[tuple[int, pa.ChunkedArray]]:
        """Yield the row groups that say that they hold nulls."""
        for number, group in enumerate(self.groups):
            names = (column, f"{column}.bytes")
            parts = [one for one in _column_parts(group, column) if one.path_in_schema in names]
            if any(part.statistics and part.statistics.null_count for part in parts):
                yield self.starts[number], self._group(number, column)

    def value(self, column: str, row: int) -> pa.Scalar:
        """Return one value."""
        number = bisect.bisect_right(self.starts, row) - 1
        return self._group(number, column)[row - self.starts[number]]

    def _group(self, number: int, column: str) -> pa.ChunkedArray:
        key = self, number, column
        with _lock:
            values = _groups.pop(key, None)
            if values is None:
                if (size := _column_bytes(self.groups[number], column)) > MAX_GROUP_BYTES:
                    raise UnreadableError(
                        f"a row group of {size / 1e9:.1f} GB: write the file with smaller ones"
                    )
                values = self.file.read_row_group(number, [column], use_threads=False).column(0)
            _groups[key] = values
            while len(_groups) > 1 and sum(kept.nbytes for kept in _groups.values()) > KEPT_BYTES:
                _groups.pop(next(iter(_groups)))
        return values


_groups: dict[tuple[ParquetImages, int, str], pa.ChunkedArray] = {}  # the last used at the end
_lock = threading.Lock()  # Arrow's reader is not for several threads


def _column_parts(group: Any, column: str) -> list[Any]:
    """Return the metadata of what a column of a row group consists of."""
    parts = [group.column(number) for number in range(group.num_columns)]
    return [part for part in parts if part.path_in_schema.split(".")[0] == column]


def _column_bytes(group: Any, column: str) -> int:
    return sum(part.total_uncompressed_size for part in _column_parts(group, column))


class ArrowImages(TableImages):
    """The images of an Arrow file or stream, mapped into memory.

    Raises:
        pyarrow.ArrowException: the file is damaged.
    """

    def __init__(self, path: str) -> None:
        source = pa.memory_map(path)
        is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
        source.seek(0)
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        self.table = reader.read_all()
        self.schema, self.rows = self.table.schema, self.table.num_rows
        self.checked: set[str] = set()

    def columns(self, names: list[str]) -> pa.Table:
        """Return these columns."""
        for name in names:
            self._column(name)
        return self.table.select(names)

    def null_parts(self, column: str) -> Iterator[tuple[int, pa.ChunkedArray]]:
        """Yield the whole column."""
        yield 0, self._column(column)

    def value(self, column: str, row: int) -> pa.Scalar:
        """Return one value."""
        return self._column(column)[row]

    def _column(self, name: str) -> pa.ChunkedArray:
        """Return a column; Arrow itself would follow wrong offsets of a damaged one."""
        column = self.table[name]
        if name not in self.checked:
            column.validate(full=True)
            self.checked.add(name)
        return column
