"""Tables of reference photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from genspot.evaluation.references import COLUMNS, Reference

ABOUT = {"checkpoint": "ab12", "model": {"name": "small"}, "crop": 32, "protocol": "none"}
TRAITS: dict[str, Any] = {"format": "PNG", "jpeg_quality": None, "width": 1000, "height": 1000}
TRAITS |= {"flat_share": 0.2, "colour_share": 0.1}


def make_reference(*parts: tuple[int, dict[str, Any]], seed: int = 0) -> Reference:
    """Return a reference of normally distributed logits: a number of photos and their traits."""
    rows = [TRAITS | traits for count, traits in parts for _ in range(count)]
    logits = np.random.default_rng(seed).normal(size=len(rows)).astype(np.float32)
    table = make_traits(rows).add_column(0, "logit", pa.array(logits))
    return Reference(table.select(list(COLUMNS)), ABOUT)


def make_traits(rows: list[dict[str, Any]]) -> pa.Table:
    """Return a table of traits; what a row lacks is that of `TRAITS`."""
    whole = [TRAITS | row for row in rows]
    table = pa.table({name: [row[name] for row in whole] for name in TRAITS})
    at = table.column_names.index("jpeg_quality")
    return table.set_column(at, "jpeg_quality", table["jpeg_quality"].cast(pa.int32()))
