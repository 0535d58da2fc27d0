"""Arrow tables as files."""

from __future__ import annotations

import pyarrow as pa

from genspot.common.tables import concat


def make_table(names: list[str]) -> pa.Table:
    return pa.table({"name": pa.array(names).dictionary_encode(), "row": range(len(names))})


def test_concat_joins_tables_with_different_dictionaries() -> None:
    table = concat([make_table(["a", "b", "a"]), make_table(["c"])])
    assert table.schema.field("name").type == pa.string()
    assert table.to_pydict() == {"name": ["a", "b", "a", "c"], "row": [0, 1, 2, 0]}
