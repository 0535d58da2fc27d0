"""What moves a detector's logits besides generation: compression, size, areas of one colour."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from genspot.data import image_io
from genspot.data.audit.header import jpeg_quality
from genspot.data.audit.jpeg_grid import grid_statistics, middle
from genspot.data.encoded import find_content
from genspot.data.settings import default_workers

TRAIT_SCHEMA = pa.schema(
    [
        ("format", pa.string()),  # of the file, PIL's name: "PNG", "JPEG"
        # Of the file, or of the JPEG that left traces in one of another format; 1 to 100,
        # estimated. A detector sees no difference between them. Null: no traces of JPEG.
        ("jpeg_quality", pa.int32()),
        ("width", pa.int32()),  # pixels
        ("height", pa.int32()),
        ("flat_share", pa.float64()),  # of neighbours in a row that have one colour, 0 to 1
        ("colour_share", pa.float64()),  # of pixels with one of a few colours, 0 to 1
    ]
)
FLAT_LEVELS = 1  # by how much the colours of flat neighbours differ at most, of 255
COLOUR_LEVELS = 32  # of each channel, by which colours are told apart
COLOURS = 4  # the most frequent ones
AHEAD = 64  # photos that threads are given at a time


def read_traits(
    paths: pa.ChunkedArray, workers: int | None, max_megapixels: int, title: str
) -> pa.Table:
    """Return the traits of photos, a row of TRAIT_SCHEMA each.

    All values of a photo that cannot be read are null.

    Args:
        paths: of the photos.
        workers: threads that read; None: by the number of cores. 0: this thread.
        max_megapixels: larger photos cannot be read.
        title: of the progress bar.
    """

    def read(row: int) -> dict[str, Any]:
        try:
            return find_traits(paths[row].as_py(), max_megapixels)
        except Exception:  # a broken file can raise nearly anything
            return dict.fromkeys(TRAIT_SCHEMA.names)

    rows: list[dict[str, Any]] = []
    count = default_workers() if workers is None else workers
    # Decoding and filters release the interpreter, so that threads are as fast as processes.
    with (
        tqdm(total=len(paths), desc=title, unit="image", delay=2) as bar,
        ThreadPoolExecutor(max(1, count)) as pool,
    ):
        for start in range(0, len(paths), AHEAD):
            part = range(start, min(start + AHEAD, len(paths)))
            for row in pool.map(read, part) if count else map(read, part):
                rows.append(row)
                bar.update()
    return pa.Table.from_pylist(rows, schema=TRAIT_SCHEMA)


def find_traits(
    path: str,
    max_megapixels: int,
    content: bytes | None = None,
    pixels: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the traits of a photo, the values of TRAIT_SCHEMA.

    Args:
        path: of the file, or of an image within a container; with `content`, only a name.
        max_megapixels: a larger photo cannot be read.
        content: the encoded photo; None: it is read from `path`.
        pixels: the decoded photo, uint8, H×W×3; None: it is decoded here.

    Raises:
        Exception: it cannot be read; see `genspot.data.image_io.read`.
    """
    if content is None:
        found = find_content(path, max_megapixels)
        content = found if isinstance(found, bytes) else Path(path).read_bytes()
    with image_io.open_content(path, content, max_megapixels) as file:
        tables, kind = getattr(file, "quantization", None), file.format
        if pixels is None:
            pixels = image_io.decode_opened(file, path, content)
    return pixel_traits(pixels, kind, jpeg_quality(tables) if tables else None)


def pixel_traits(
    pixels: np.ndarray, kind: str | None = None, quality: int | None = None
) -> dict[str, Any]:
    """Return the traits of a decoded photo, the values of TRAIT_SCHEMA.

    Args:
        pixels: uint8, H×W×3.
        kind: PIL's name of the format; None: of no file.
        quality: of the JPEG file; None: the pixels are searched for its traces.
    """
    part = middle(pixels)
    if quality is None:
        quality = grid_statistics(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY))["grid_quality"]
    height, width = pixels.shape[:2]
    return {
        "format": kind,
        "jpeg_quality": quality,
        "width": width,
        "height": height,
        "flat_share": flat_share(part),
        "colour_share": colour_share(part),
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


def colour_share(image: np.ndarray) -> float:
    """Return the share of pixels that have one of the `COLOURS` most frequent colours.

    A screenshot or a drawing has few colours, a photo seldom.

    Args:
        image: uint8, H×W×3.
    """
    red, green, blue = np.moveaxis(image // (256 // COLOUR_LEVELS), 2, 0).astype(np.int64)
    counts = np.bincount(((red * COLOUR_LEVELS + green) * COLOUR_LEVELS + blue).ravel())
    most = np.partition(counts, -min(COLOURS, len(counts)))[-COLOURS:]
    return float(most.sum() / counts.sum())
