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
        predictions: with a column path, in which a photo may be several times.
        max_megapixels: larger images are not read.
        folder: of the run.

    Returns:
        `predictions` with a column claims (see `summary`), and the claims of each photo.
    """
    paths = predictions["path"].to_pylist()
    found = {path: read_claims(path, max_megapixels) for path in dict.fromkeys(paths)}
    write_claims([*found.values()], folder)
    texts = {path: summary(one) for path, one in found.items()}
    column = pa.array([texts[path] for path in paths], pa.string())
    return predictions.append_column("claims", column), [*found.values()]
