"""Reads each image of a table of samples once, in parallel processes, for the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from torch.utils.data import Dataset

from genspot.data import image_io, png
from genspot.data.audit import digests
from genspot.data.audit.header import read_header
from genspot.data.audit.jpeg_grid import grid_statistics, middle
from genspot.data.audit.schema import PROBE_SCHEMA, UNREADABLE_SCHEMA
from genspot.data.audit.statistics import colour_statistics, sharpness_statistics
from genspot.data.encoded import find_content
from genspot.data.loaders import read_in_order
from genspot.data.settings import MEGAPIXEL

BATCH = 16  # images that a process hands over at a time


class ProbeDataset(Dataset[Any]):
    """The probes of the images of a table of samples; indexed by row.

    An item is a row of PROBE_SCHEMA, or of UNREADABLE_SCHEMA if the image cannot be read.

    Args:
        paths: of the images.
        max_megapixels: larger images are unreadable.
    """

    def __init__(self, paths: pa.ChunkedArray, max_megapixels: int) -> None:
        self.paths, self.max_megapixels = paths, max_megapixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        try:
            return {"row": row, **probe_image(self.paths[row].as_py(), self.max_megapixels)}
        except Exception as error:
            return {"row": row, "reason": image_io.describe_error(error)}


def probe(
    table: pa.Table, workers: int | None, max_megapixels: int, title: str
) -> tuple[pa.Table, pa.Table]:
    """Return what the audit reads of the images of a table of samples.

    Args:
        table: of samples.
        workers: reading processes; None: one per core, at most 16. 0: this process.
        max_megapixels: larger images are unreadable.
        title: of the progress bar.

    Returns:
        A table of `PROBE_SCHEMA` with a row for each readable image, and one of
        `UNREADABLE_SCHEMA` with the reason for each other; both in the order of `table`.

    Raises:
        GenspotError: the processes cannot be started or fail.
    """
    dataset = ProbeDataset(table["path"], max_megapixels)
    batches = list(read_in_order(dataset, workers, title, BATCH, collate_probes))
    return (
        pa.Table.from_batches([batch["probes"] for batch in batches], PROBE_SCHEMA),
        pa.Table.from_batches([batch["unreadable"] for batch in batches], UNREADABLE_SCHEMA),
    )


def collate_probes(items: list[dict[str, Any]]) -> dict[str, pa.RecordBatch]:
    """Return the items of a `ProbeDataset` as "probes" and "unreadable"."""
    rows = {
        "probes": [item for item in items if "reason" not in item],
        "unreadable": [item for item in items if "reason" in item],
    }
    schemas = {"probes": PROBE_SCHEMA, "unreadable": UNREADABLE_SCHEMA}
    return {
        name: pa.RecordBatch.from_pylist(rows[name], schema=schema)
        for name, schema in schemas.items()
    }


def probe_image(path: str, max_megapixels: int) -> dict[str, Any]:
    """Return the columns of PROBE_SCHEMA of one image, without its row.

    Raises:
        Exception: the image cannot be read; see `genspot.data.image_io.read`.
    """
    content = find_content(path, max_megapixels)
    if not isinstance(content, bytes):
        content = Path(path).read_bytes()
    with image_io.open_content(path, content, max_megapixels) as file:
        image = png.decode(content, max_megapixels * MEGAPIXEL)
        if image is None:
            image = image_io.decode_opened(file, path, content)
        header = read_header(file)
    height, width = image.shape[:2]
    return {
        **header,
        "width": width,
        "height": height,
        "file_bytes": len(content),
        **pixel_statistics(image),
        "file_digest": digests.digest(content),
        "pixel_digest": digests.pixel_digest(image),
        **digests.similarity(image),
    }


def pixel_statistics(image: np.ndarray) -> dict[str, Any]:
    """Return the columns of PROBE_SCHEMA that describe the pixels of a part of an image.

    Args:
        image: uint8, H×W×3.
    """
    part = middle(image)
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    return {
        **colour_statistics(part),
        **sharpness_statistics(grey.astype(np.float32)),
        **grid_statistics(grey),
    }
