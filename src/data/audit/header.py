"""What the header of an image file says: format, compression, metadata."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin

SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # by the numbers of PIL's get_sampling
SOFTWARE_LENGTH = 100  # characters of the text that are kept

# PIL's keys of `Image.info` → kinds of metadata.
KINDS = {
    "exif": "exif",
    "icc_profile": "icc",
    "xmp": "xmp",
    "XML:com.adobe.xmp": "xmp",
    "comment": "comment",
    "photoshop": "photoshop",
    "adobe": "adobe",
    "gamma": "gamma",
}

# ITU-T T.81 (1992), table K.1: quantization of luminance, row by row.
LUMINANCE_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def read_header(file: Image.Image) -> dict[str, Any]:
    """Return the columns of PROBE_SCHEMA that a decoded image file has from its header.

    Without width, height and number of bytes.

    Args:
        file: opened by PIL. Text that follows the pixels of PNG is seen once they are decoded.
    """
    tables = getattr(file, "quantization", None)
    return {
        "format": file.format,
        "mode": file.mode,
        "jpeg_quality": jpeg_quality(tables) if tables else None,
        "jpeg_tables": _tables_digest(tables) if tables else None,
        "subsampling": _subsampling(file) if tables else None,
        "progressive": "progressive" in file.info if tables else None,
        **_metadata(file),
    }


def jpeg_quality(tables: dict[int, list[int]]) -> int:
    """Return the quality, 1 to 100, whose luminance table is nearest to the first of `tables`.

    The table of a quality is that of IJG's libjpeg (jcparam.c, jpeg_quality_scaling): T.81's table
    times 5000 / quality percent below 50, and times 200 − 2 × quality percent from 50 on. Nearest
    is by the sum of absolute differences. Other encoders have tables of their own, for which
    this is an estimate.

    Args:
        tables: number → 64 steps in natural order, as of PIL.
    """
    own = np.asarray(tables[min(tables)])
    return 1 + int(np.abs(TABLES - own).sum(axis=1).argmin())


def _tables_of_qualities() -> np.ndarray:
    """Return the luminance tables of the qualities 1 to 100, 100×64."""
    qualities = np.arange(1, 101)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    steps = (percent[:, None] * LUMINANCE_TABLE.ravel() + 50) // 100
    return np.clip(steps, 1, 255)


TABLES = _tables_of_qualities()


def _tables_digest(tables: dict[int, list[int]]) -> str:
    text = repr([list(map(int, tables[number])) for number in sorted(tables)])
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _subsampling(file: Image.Image) -> str:
    if len(file.getbands()) == 1:
        return "grey"
    return SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(file), "other")


def _metadata(file: Image.Image) -> dict[str, str]:
    """Return the kinds of metadata, and the text of the program that wrote the file."""
    kinds = {KINDS[key] for key in file.info if key in KINDS}
    texts = file.info if file.format == "PNG" else {}
    text = {key: value for key, value in texts.items() if isinstance(value, str)}
    if text.keys() - KINDS:
        kinds.add("text")
    software = text.get("Software", "")
    if "exif" in kinds:
        with contextlib.suppress(Exception):  # damaged EXIF has no fields
            exif = file.getexif()
            software = software or str(exif.get(ExifTags.Base.Software, ""))
            if exif.get_ifd(ExifTags.IFD.IFD1):
                kinds.add("thumbnail")
    comment = file.info.get("comment", b"")
    if not software:
        software = comment.decode("latin-1") if isinstance(comment, bytes) else str(comment)
    printable = "".join(one if one.isprintable() else " " for one in software)
    return {
        "metadata": ",".join(sorted(kinds)),
        "software": " ".join(printable.split())[:SOFTWARE_LENGTH],
    }
