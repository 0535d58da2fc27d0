"""Arrow tables as files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from genspot.common.files import atomic_write
from genspot.common.text import escape

# A spreadsheet calculates a cell that begins with one of these; the last four are full-width.
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


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
    """Write `table` to `path` as Parquet, with checksums."""
    # Opened in Python: Arrow takes no path that is not UTF-8.
    with atomic_write(path) as partial, partial.open("wb") as file:
        pyarrow.parquet.write_table(table, file, write_page_checksum=True)


def read_parquet(path: Path) -> pa.Table:
    """Return the table in the Parquet file at `path`.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read, or its content is not as written.
    """
    with path.open("rb") as file:
        return pyarrow.parquet.read_table(file, page_checksum_verification=True)


def write_csv(table: pa.Table, path: Path) -> None:
    """Write `table` to `path` as CSV, with texts as `csv_cell` has them."""
    table = decode_dictionaries(table)
    columns = [
        pa.array([text and csv_cell(text) for text in column.to_pylist()], column.type)
        if column.type in (pa.string(), pa.large_string())
        else column
        for column in table.columns
    ]
    with atomic_write(path) as partial, partial.open("wb") as file:
        pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), file)


def csv_cell(text: str) -> str:
    r"""Return what stands for `text` in a CSV file that a spreadsheet or a terminal may show.

    It is the text itself, unless a spreadsheet would calculate it, a terminal obey it, or it
    begins with an apostrophe. Then an apostrophe comes first, each backslash is doubled, and
    control characters are written like \n and \x1b, so that the text can be had back.
    """
    if not text.startswith((*FORMULA_STARTS, "'")) and escape(text) == text:
        return text
    return "'" + escape(text.replace("\\", "\\\\"))
