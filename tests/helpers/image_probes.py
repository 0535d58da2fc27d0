"""Tables of probes of images in memory, with SciPy in place of the code under test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
from PIL import Image
from scipy.fft import dctn

from genspot.data.audit.schema import THUMBNAIL


def jpeg_bytes(image: Image.Image, quality: int) -> bytes:
    """Return `image` as a JPEG file."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def png_bytes(image: Image.Image, level: int = 6) -> bytes:
    """Return `image` as a PNG file."""
    file = BytesIO()
    image.save(file, "PNG", compress_level=level)
    return file.getvalue()


def probe_files(files: Sequence[bytes]) -> pa.Table:
    """Return the columns that find duplicates, of encoded images."""
    return pa.Table.from_pylist(
        [_probe(file) for file in files],
        pa.schema(
            [
                ("width", pa.int32()),
                ("height", pa.int32()),
                ("file_digest", pa.binary(16)),
                ("pixel_digest", pa.binary(16)),
                ("phash", pa.uint64()),
                ("thumbnail", pa.binary(THUMBNAIL**2)),
            ]
        ),
    )


def _probe(file: bytes) -> dict[str, object]:
    image = Image.open(BytesIO(file)).convert("RGB")
    size = (THUMBNAIL, THUMBNAIL)
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX))
    lowest = dctn(grey.astype(float), norm="ortho")[:8, :8].ravel()
    signs = lowest > np.median(lowest[1:])
    return {
        "width": image.width,
        "height": image.height,
        "file_digest": hashlib.md5(file).digest(),
        "pixel_digest": hashlib.md5(str(image.size).encode() + image.tobytes()).digest(),
        "phash": int("".join("01"[int(one)] for one in signs), 2),
        "thumbnail": grey.tobytes(),
    }
