"""The one table of scores, from the batches of all ranks to `scores.parquet`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

if TYPE_CHECKING:
    import torch  # not imported where scores are only read


@dataclass
class Collected:
    """What a test loop has seen: rows of the table of samples, and their logits."""

    rows: list[int] = field(default_factory=list)
    logits: list[float] = field(default_factory=list)
    padded: list[bool] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)  # row → reason

    def add(self, rows: torch.Tensor, logits: torch.Tensor, padded: torch.Tensor) -> None:
        self.rows += rows.tolist()
        self.logits += logits.tolist()
        self.padded += padded.tolist()

    def refuse(self, unreadable: list[tuple[int, str]]) -> None:
        self.unreadable.update(unreadable)


def gather(own: Collected) -> Collected:
    """What all ranks have seen together, on every rank."""
    from torch import distributed  # here, for a report does without PyTorch

    if not (distributed.is_available() and distributed.is_initialized()):
        return own
    shares: list[Collected | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(shares, own)
    everything = Collected()
    for share in shares:
        assert share is not None
        everything.rows += share.rows
        everything.logits += share.logits
        everything.padded += share.padded
        everything.unreadable.update(share.unreadable)
    return everything


def score_table(samples: pa.Table, collected: Collected) -> pa.Table:
    """The scored rows of `samples` in their order, with the columns `logit` and `padded`."""
    order = np.argsort(collected.rows)
    scored = samples.take(np.asarray(collected.rows, dtype=np.int64)[order])
    logits = np.asarray(collected.logits, dtype=np.float32)[order]
    padded = np.asarray(collected.padded, dtype=bool)[order]
    return scored.append_column("logit", pa.array(logits)).append_column(
        "padded", pa.array(padded)
    )


def unreadable_table(samples: pa.Table, collected: Collected) -> pa.Table:
    """The rows of `samples` that could not be read, with the column `reason`."""
    rows = sorted(collected.unreadable)
    reasons = pa.array([collected.unreadable[row] for row in rows], pa.string())
    return samples.take(np.asarray(rows, dtype=np.int64)).append_column("reason", reasons)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to, which then takes its name: no reader meets half a file.

    It is on the disk before it is renamed. What could not be written leaves nothing behind.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_parquet(table: pa.Table, path: Path) -> None:
    """`table` as Parquet."""
    with replacing(path) as partial:
        pyarrow.parquet.write_table(table, partial)


def write_validation(table: pa.Table, folder: Path, crop: int | None) -> None:
    """The scores of validation images, and the crop that they were seen in."""
    about = {"crop": str(crop)}
    write_parquet(plain(table).replace_schema_metadata(about), folder / "validation.parquet")


def read_validation(folder: Path, crop: int | None) -> pa.Table | None:
    """What `write_validation` left in `folder` for the same crop, if it did."""
    try:
        table = pyarrow.parquet.read_table(folder / "validation.parquet")
    except (OSError, pa.ArrowException):
        return None
    about = table.schema.metadata or {}
    return table if about.get(b"crop") == str(crop).encode() else None


def plain(table: pa.Table) -> pa.Table:
    """`table` with its dictionary columns as plain text."""
    return pa.table(
        {
            name: column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


def listing(tables: list[pa.Table]) -> pa.Table:
    """Tables of unreadable images, one below the other."""
    return pa.concat_tables([plain(table) for table in tables])


def write_csv(table: pa.Table, path: Path) -> None:
    """`table` as CSV."""
    with replacing(path) as partial:
        pyarrow.csv.write_csv(plain(table), partial)


def write_json(content: dict[str, Any], path: Path) -> None:
    """`content` as JSON; no NaN, which is none."""
    write_text(json.dumps(content, indent=2, allow_nan=False), path)


def write_text(text: str, path: Path) -> None:
    """`text` in UTF-8."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
