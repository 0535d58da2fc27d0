"""The table of scores: one row per image, from the test loop to scores.parquet and back."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute

from genspot.common import run_files
from genspot.common.errors import GenspotError
from genspot.common.tables import decode_dictionaries, read_parquet, write_parquet
from genspot.evaluation.results import SCORE_COLUMNS

log = logging.getLogger(__name__)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


# `padded` may be missing.
COLUMN_TYPES = {"path": _is_text, "generator": _is_text, "class": _is_text}
COLUMN_TYPES |= {"label": _is_number, "logit": _is_number}


def score_table(
    samples: pa.Table, rows: list[int], logits: list[float], padded: list[bool]
) -> pa.Table:
    """Return the scored rows of `samples` in their order, with the columns of `SCORE_COLUMNS`.

    Args:
        samples: table with the columns path, generator, class and label.
        rows: the row in `samples` of each of N scored images, in any order.
        logits: N logits.
        padded: N flags: the image was smaller than the crop.
    """
    order = np.argsort(rows)
    table = samples.take(np.asarray(rows, dtype=np.int64)[order])
    table = table.append_column("logit", [np.asarray(logits, dtype=np.float32)[order]])
    return table.append_column("padded", [np.asarray(padded, dtype=bool)[order]])


def unreadable_table(samples: pa.Table, unreadable: dict[int, str]) -> pa.Table:
    """Return the rows of `samples` that are keys of `unreadable`, with its values as `reason`."""
    rows = sorted(unreadable)
    reasons = pa.array([unreadable[row] for row in rows], pa.string())
    return samples.take(np.asarray(rows, dtype=np.int64)).append_column("reason", reasons)


def read_scores(path: str | Path) -> pa.Table:
    """Return the scores in a Parquet file, or in the scores.parquet of the run folder `path`.

    Raises:
        GenspotError: The file is missing or damaged, or is not a table of scores.
    """
    file = Path(path)
    if file.is_dir():
        file = file / run_files.SCORES
    if not file.exists():
        raise GenspotError(f"{file} does not exist; a finished test writes it")
    try:
        table = read_parquet(file)
    except (OSError, pa.ArrowException) as error:
        raise GenspotError(f"{file} cannot be read: {error}; repeat the test") from error
    check_scores(table, str(file))
    return table


def check_scores(table: pa.Table, name: str) -> None:
    """Check what figures are made of.

    Raises:
        GenspotError: a column other than `padded` is missing or has another type, a text is
            missing, a label is not 0 or 1, or a logit is not a finite number.
    """
    for column, is_right in COLUMN_TYPES.items():
        if column not in table.column_names:
            raise GenspotError(f"{name} has no column {column}; give a table of scores")
        values = table[column]
        if not is_right(values.type) or (is_right is _is_text and values.null_count):
            found = f"values of type {values.type}" if not is_right(values.type) else "empty cells"
            raise GenspotError(
                f"{name} has {found} in the column {column}: it must be "
                f"{SCORE_COLUMNS[column][0]}; give a table of scores"
            )
    labels = pyarrow.compute.unique(table["label"]).to_pylist()
    if wrong := [label for label in labels if label not in (0, 1)]:
        raise GenspotError(f"{name} has the label {wrong[0]}; write 0 for real and 1 for fake")
    check_finite(table["logit"].to_numpy(), name)


def check_finite(logits: np.ndarray, name: str) -> None:
    """Raise GenspotError if a logit is not a finite number.

    Args:
        logits: of any number type.
        name: of what has them, for the message.
    """
    if count := np.size(logits) - int(np.isfinite(logits.astype(np.float64)).sum()):
        raise GenspotError(
            f"{name}: {count} logits are not finite numbers; no figures are made of them, nor of "
            "the others: repeat the test with another checkpoint, or leave these images out"
        )


def write_validation(table: pa.Table, folder: Path, crop: int | None) -> None:
    """Write the scores of the validation images to `folder`, with the test crop in pixels."""
    table = decode_dictionaries(table).replace_schema_metadata({"crop": str(crop)})
    write_parquet(table, folder / run_files.VALIDATION_SCORES)


def read_validation(folder: Path, crop: int | None) -> pa.Table | None:
    """Return what `write_validation` wrote for the same crop; None if there are none.

    None, with a warning, also where they are damaged.
    """
    file = folder / run_files.VALIDATION_SCORES
    if not file.is_file():
        return None
    try:
        table = read_scores(file)
    except GenspotError as error:
        log.warning("%s: these scores of validation images are not used", error)
        return None
    metadata = table.schema.metadata or {}
    return table if metadata.get(b"crop") == str(crop).encode() else None
