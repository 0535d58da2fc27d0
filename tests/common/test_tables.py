"""Arrow tables as files."""

from __future__ import annotations

import pyarrow as pa

from genspot.common.tables import concat


def test_concat_joins_tables_with_different_dictionaries() -> None:
    tables = [pa.table({"name": pa.array(list(x)).dictionary_encode()}) for x in ("aba", "c")]
    assert concat(tables) == pa.table({"name": ["a", "b", "a", "c"]})
