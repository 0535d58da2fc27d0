"""Arrow tables as files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from genspot.common.tables import concat, decode_dictionaries, write_csv, write_parquet


def make_table(names: list[str]) -> pa.Table:
    return pa.table({"name": pa.array(names).dictionary_encode(), "row": range(len(names))})


def test_concat_joins_tables_with_different_dictionaries() -> None:
    table = concat([make_table(["a", "b", "a"]), make_table(["c"])])
    assert table.schema.field("name").type == pa.string()
    assert table.to_pydict() == {"name": ["a", "b", "a", "c"], "row": [0, 1, 2, 0]}


def test_tables_are_written_and_read_back(tmp_path: Path) -> None:
    table = make_table(["plain", 'with "quotes", a comma', "größer"])
    write_parquet(table, tmp_path / "table.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "table.parquet") == table
    write_csv(table, tmp_path / "table.csv")
    assert pyarrow.csv.read_csv(tmp_path / "table.csv") == decode_dictionaries(table)
