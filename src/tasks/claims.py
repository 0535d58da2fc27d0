"""What the files that a prediction is of claim of their origin."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from genspot.common.claims import FileClaims
from genspot.data.claims.read import read_claims
from genspot.report.claims import summary, write_claims


def add_claims(
    predictions: pa.Table, max_megapixels: int, folder: Path
) -> tuple[pa.Table, list[FileClaims]]:
    """Read the claims of the files of `predictions`, and write claims.json into `folder`.

    Args:
        predictions: with a column path.
        max_megapixels: larger images are not read.
        folder: of the run.

    Returns:
        `predictions` with a column claims (see `summary`), and the claims row by row.
    """
    found = [read_claims(path, max_megapixels) for path in predictions["path"].to_pylist()]
    write_claims(found, folder)
    column = pa.array([summary(one) for one in found], pa.string())
    return predictions.append_column("claims", column), found
