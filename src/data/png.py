"""Decoding of 8-bit RGB PNG by kornia_rs: the pixels of PIL in a third of the time."""

from __future__ import annotations

import functools
import logging
import struct
from io import BytesIO

import numpy as np
from PIL import Image

log = logging.getLogger(__name__)

SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"  # and the length and name of the first chunk
RGB8 = b"\x08\x02\0\0\0"  # header fields: 8 bits, RGB, not interlaced
MAX_PIXELS = 2**25  # larger images are left to PIL, which decodes them one at a time
MAX_FILE_BYTES = 4 * MAX_PIXELS  # no PNG of MAX_PIXELS pixels without metadata is larger


def decode(content: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray | None:
    """Return the pixels of a PNG file, `uint8` H×W×3; None if PIL must decode or refuse it.

    Images of more than `max_pixels` or `MAX_PIXELS` are left to PIL.

    One kind of damage is not detected here and is by PIL: a wrong checksum of the compressed data
    inside a chunk whose own checksum is right.
    """
    plain = content[:16] == SIGNATURE and content[24:29] == RGB8 and _has_pixels_only(content)
    if not plain or not _matches_pil():
        return None
    width, height = struct.unpack(">II", content[16:24])
    if not 0 < width * height <= min(max_pixels, MAX_PIXELS):
        return None
    try:
        return _decode(content, height, width)
    except Exception:  # a damaged file
        return None


def _has_pixels_only(content: bytes) -> bool:
    """Return whether all chunks after the header hold pixels; PIL checks the other kinds."""
    offset = 33  # end of the header chunk
    while content[offset + 4 : offset + 8] == b"IDAT":
        offset += 12 + int.from_bytes(content[offset : offset + 4], "big")
    return content[offset + 4 : offset + 8] == b"IEND"


def _decode(content: bytes, height: int, width: int) -> np.ndarray:
    from kornia_rs import io

    pixels: np.ndarray = io.decode_image_png_u8(content, (height, width), "rgb")
    return pixels


@functools.cache
def _matches_pil() -> bool:
    """Return whether the installed kornia_rs gives PIL's pixels; warn once if it does not."""
    rng = np.random.default_rng(0)
    try:
        for height, width, level in ((17, 40, 1), (40, 9, 9), (1, 1, 6)):
            noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            pixels = np.cumsum(noise // 85, axis=1).astype(np.uint8)  # makes PIL use all filters
            file = BytesIO()
            Image.fromarray(pixels).save(file, "PNG", compress_level=level)
            if not np.array_equal(_decode(file.getvalue(), height, width), pixels):
                raise ValueError("its pixels differ from PIL's")
    except Exception as error:  # a library built for another machine can fail in any way
        reason = " ".join(str(error).split())
        log.warning(
            "kornia_rs cannot decode PNG here (%s): PIL decodes instead, at a third of the speed",
            reason,
        )
        return False
    return True
