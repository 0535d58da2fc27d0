"""What finds equal and similar images: digests, a thumbnail and a perceptual hash."""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
import scipy.fft

from genspot.data.audit.schema import THUMBNAIL

HASH_SIDE = 8  # coefficients of the perceptual hash a side


def digest(*parts: bytes | memoryview) -> bytes:
    """Return 16 bytes that are equal for equal `parts` only, for all that is known."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.digest()


def pixel_digest(image: np.ndarray) -> bytes:
    """Return the digest of the size and the pixels of an image, uint8, H×W×3."""
    return digest(np.array(image.shape, np.int64).data, np.ascontiguousarray(image).data)


def similarity(image: np.ndarray) -> dict[str, Any]:
    """Return the columns of PROBE_SCHEMA that are alike for similar images."""
    grey = thumbnail(image)
    return {"phash": perceptual_hash(grey), "thumbnail": grey.tobytes()}


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return an image (uint8, H×W×3) as 32×32 grey values, uint8; its shape is not kept.

    They are means over areas of the image; of a smaller image they are interpolated.
    """
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def perceptual_hash(grey: np.ndarray) -> int:
    """Return 64 bits that are similar for similar images: pHash.

    As in the library imagehash (phash), after Zauner, "Implementation and Benchmarking of
    Perceptual Image Hash Functions", 2010: of the two-dimensional DCT of a 32×32 image, the 8×8
    lowest frequencies; a bit is 1 where the coefficient is above the median of these. The first
    coefficient, row by row, is the highest bit. The image here is the thumbnail.

    Args:
        grey: uint8, 32×32.
    """
    lowest = scipy.fft.dctn(grey.astype(np.float64), norm="ortho")[:HASH_SIDE, :HASH_SIDE]
    bits = (lowest > np.median(lowest)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
