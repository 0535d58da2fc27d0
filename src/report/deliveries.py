"""How the logits of photos move when the photos are delivered: a table and its lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.common.run_files import DELIVERIES
from genspot.evaluation.sensitivity import sensitivity
from genspot.report.console import is_terminal, print_line, print_path, print_table
from genspot.report.prediction_lines import MAX_ROWS, TOP
from genspot.report.predictions import verdict

NOTE = (
    "Each photo was also scored as {count} services and devices deliver it. Stable: each delivery "
    "keeps the verdict of the photo itself; mostly stable: three quarters do; unstable: fewer."
)


def delivery_table(
    photos: pa.Table, names: Sequence[str], scores: pa.Table, unreadable: pa.Table
) -> pa.Table:
    """Return a row for each delivery of each photo, in the order of both.

    Args:
        photos: with the columns path and logit.
        names: of the deliveries.
        scores: with the columns path, generator (the delivery), logit and padded (the delivered
            photo is smaller than the crop).
        unreadable: with the columns path, generator and reason, of deliveries without a score.

    Returns:
        Columns path, delivery, logit, change (of the logit against the photo's own), verdict,
        padded and reason (of a row without a finite logit, whose four columns before are empty).
    """
    scored = dict(zip(_keys(scores), _pairs(scores, "logit", "padded"), strict=True))
    reasons = dict(zip(_keys(unreadable), unreadable["reason"].to_pylist(), strict=True))
    rows: list[tuple[Any, ...]] = []
    for path, own in _pairs(photos, "path", "logit"):
        for name in names:
            logit, padded = scored.get((path, name), (None, None))
            if logit is None or not math.isfinite(logit):
                reason = reasons.get((path, name), f"logit {logit}")
                rows.append((path, name, None, None, None, None, reason))
            else:
                rows.append((path, name, logit, logit - own, verdict(logit), padded, None))
    schema = pa.schema(
        [
            ("path", pa.large_string()),
            ("delivery", pa.string()),
            ("logit", pa.float64()),
            ("change", pa.float64()),
            ("verdict", pa.string()),
            ("padded", pa.bool_()),
            ("reason", pa.string()),
        ]
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([list(column) for column in columns], schema=schema)


def _pairs(table: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def _keys(table: pa.Table) -> list[tuple[Any, ...]]:
    return _pairs(table, "path", "generator")


def print_deliveries(
    photos: pa.Table, deliveries: pa.Table, folder: Path, quiet: bool = False
) -> None:
    """Print a line for each photo, what its words mean, and where the table is.

    Args:
        photos: see `delivery_table`.
        deliveries: of the same photos, from `delivery_table`.
        folder: of the run, with deliveries.csv.
        quiet: print only where the file is.
    """
    if not quiet:
        count = len(deliveries) // len(photos)
        shown = photos.slice(0, TOP if is_terminal() and len(photos) > MAX_ROWS else None)
        logits = deliveries["logit"].to_numpy()
        print_table(
            ("image", "logit", "as delivered", "keep the verdict", "sensitivity"),
            [
                _cells(row["path"], row["logit"], logits[place * count : (place + 1) * count])
                for place, row in enumerate(shown.to_pylist())
            ],
        )
        print_line(NOTE.format(count=count))
        if missing := deliveries["logit"].null_count:
            print_line(
                f"{missing} of {len(deliveries)} deliveries have no score; {DELIVERIES} says why."
            )
    print_path("deliveries", folder / DELIVERIES)


def _cells(path: str, logit: float, delivered: np.ndarray) -> tuple[str, ...]:
    finite = delivered[np.isfinite(delivered)]
    if not len(finite):
        return path, f"{logit:.2f}", "–", "–", "not known"
    found = sensitivity(logit, finite, verdict)
    span = f"{found.low:.2f} to {found.high:.2f}"
    return path, f"{logit:.2f}", span, f"{found.kept} of {found.total}", found.word
