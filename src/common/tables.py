"""Arrow tables as files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from genspot.common.files import atomic_write


def decode_dictionaries(table: pa.Table) -> pa.Table:
    """Return `table` with its dictionary-encoded columns as plain text."""
    columns = [
        column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def concat(tables: list[pa.Table]) -> pa.Table:
    """Return the rows of all `tables` in one table, dictionary-encoded columns as plain text."""
    return pa.concat_tables([decode_dictionaries(table) for table in tables])


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write `table` to `path` as Parquet."""
    with atomic_write(path) as partial:
        pyarrow.parquet.write_table(table, partial)


def write_csv(table: pa.Table, path: Path) -> None:
    """Write `table` to `path` as CSV, dictionary-encoded columns as plain text."""
    with atomic_write(path) as partial:
        pyarrow.csv.write_csv(decode_dictionaries(table), partial)
