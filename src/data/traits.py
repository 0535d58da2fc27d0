"""What moves a detector's logits besides generation: compression, size, areas of one colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from torch.utils.data import Dataset

from genspot.data import image_io
from genspot.data.audit.header import jpeg_quality
from genspot.data.audit.jpeg_grid import grid_statistics
from genspot.data.audit.probe import middle
from genspot.data.encoded import find_content
from genspot.data.loaders import read_in_order

TRAIT_SCHEMA = pa.schema(
    [
        ("format", pa.string()),  # of the file, PIL's name: "PNG", "JPEG"
        # Of the file, or of the JPEG that left traces in one of another format; 1 to 100,
        # estimated. A detector sees no difference between them. Null: no traces of JPEG.
        ("jpeg_quality", pa.int32()),
        ("width", pa.int32()),  # pixels
        ("height", pa.int32()),
        ("flat_share", pa.float64()),  # of neighbours in a row that have one colour, 0 to 1
    ]
)
FLAT_LEVELS = 1  # by how much the colours of flat neighbours differ at most, of 255
BATCH = 16  # photos that a process hands over at a time


class TraitDataset(Dataset[Any]):
    """The traits of photos; an item is a row of TRAIT_SCHEMA, or None where it cannot be read.

    Args:
        paths: of the photos.
        max_megapixels: larger photos cannot be read.
    """

    def __init__(self, paths: pa.ChunkedArray, max_megapixels: int) -> None:
        self.paths, self.max_megapixels = paths, max_megapixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> dict[str, Any] | None:
        try:
            return find_traits(self.paths[row].as_py(), self.max_megapixels)
        except Exception:  # a broken file can raise nearly anything
            return None


def read_traits(
    paths: pa.ChunkedArray, workers: int | None, max_megapixels: int, title: str
) -> pa.Table:
    """Return the traits of photos, a row of TRAIT_SCHEMA each.

    All values of a photo that cannot be read are null.

    Args:
        paths: of the photos.
        workers: reading processes; None: by the number of cores. 0: this process.
        max_megapixels: larger photos cannot be read.
        title: of the progress bar.

    Raises:
        GenspotError: the processes cannot be started or fail.
    """
    dataset = TraitDataset(paths, max_megapixels)
    rows: list[dict[str, Any]] = []
    for batch in read_in_order(dataset, workers, title, BATCH, delay=2):
        rows += [row or dict.fromkeys(TRAIT_SCHEMA.names) for row in batch["items"]]
    return pa.Table.from_pylist(rows, schema=TRAIT_SCHEMA)


def find_traits(path: str, max_megapixels: int) -> dict[str, Any]:
    """Return the traits of the photo at `path`, the values of TRAIT_SCHEMA.

    Raises:
        Exception: it cannot be read; see `genspot.data.image_io.read`.
    """
    content = find_content(path, max_megapixels)
    if not isinstance(content, bytes):
        content = Path(path).read_bytes()
    with image_io.open_content(path, content, max_megapixels) as file:
        tables, kind = getattr(file, "quantization", None), file.format
        image = image_io.decode_opened(file, path, content)
    part = middle(image)
    if tables:
        quality = jpeg_quality(tables)
    else:
        quality = grid_statistics(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY))["grid_quality"]
    height, width = image.shape[:2]
    return {
        "format": kind,
        "jpeg_quality": quality,
        "width": width,
        "height": height,
        "flat_share": flat_share(part),
    }


def flat_share(image: np.ndarray) -> float:
    """Return the share of neighbours in a row whose colours differ by at most `FLAT_LEVELS`.

    Args:
        image: uint8, H×W×3; 0 where it is one pixel wide.
    """
    if image.shape[1] < 2:
        return 0.0
    steps = cv2.absdiff(image[:, 1:], image[:, :-1])
    return float((steps.max(axis=2) <= FLAT_LEVELS).mean())
