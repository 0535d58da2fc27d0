"""One image: read, resized, cut. Arrays are `uint8`, H×W×3, RGB.

What a file means is what the published pipeline, PIL's `convert("RGB")`, makes of it: the pixels
as they are stored (EXIF's orientation is not applied, but for TIFF, which PIL turns itself),
transparency dropped and not blended, the first frame of an animation, whatever the name ends in.
There are two exceptions. 16-bit grey, which PIL would clip to white, keeps its most significant
byte, as PIL's own 16-bit RGB does; and what is no sound photo is refused with its reason: a
decompression bomb, 32-bit grey.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import re
import stat
import warnings

import numpy as np
from PIL import Image, _imaging
from torchvision.transforms import functional

from genspot.data import png

# Of the formats that PIL can open, those that photos come in, whatever they are named. Others
# start programs (EPS) or take as long as they please.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF")
LARGEST = 89_478_485  # pixels: where PIL begins to warn of decompression bombs
LARGEST_FILE = 2**30  # bytes; LARGEST pixels take less, however they are stored
SCANS = 100  # of a JPEG; encoders write about ten, each costs a pass over the whole image

# A broken file is reported once, with its reason. The filter is the process's own: a context
# manager would reach into the other threads of an index or a pack.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with contextlib.suppress(OSError, AttributeError):  # libtiff is built in, and keeps its voice
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


class UnreadableError(OSError):
    """An image known to be unreadable; the message is the reason."""


def reason(error: Exception) -> str:
    """One line of UTF-8 that says why a file could not be read."""
    text = str(error) if isinstance(error, UnreadableError) else f"{type(error).__name__}: {error}"
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def read(path: str) -> np.ndarray:
    """The image at `path`, with PIL's pixels.

    Raises:
        UnreadableError: it is no regular file, too large, or of no known range.
        Exception: whatever PIL raises for a file it cannot decode.
    """
    size = _size(path)
    if path[-4:].lower() == ".png" and size <= png.LARGEST_FILE:
        with open(path, "rb") as file:
            pixels = png.decode(file.read())
        if pixels is not None:
            return pixels
    return pil_read(path)


def pil_read(path: str) -> np.ndarray:
    """The image at `path` as the published pipeline reads it; 16-bit grey by its upper byte.

    Raises:
        see `read`.
    """
    with opened(path) as file:
        if file.format in ("JPEG", "MPO"):
            _check_scans(path)
        if file.mode.startswith("I;16") or (file.mode, file.format) == ("I", "PPM"):
            grey = np.asarray(file) >> _bits(file) - 8
            return grey.astype(np.uint8)[..., None].repeat(3, axis=2)
        if file.mode in ("I", "F"):
            raise UnreadableError("32-bit grey, which has no known range: save it with 8 or 16")
        return np.array(file.convert("RGB"))


def opened(path: str) -> Image.Image:
    """The image file at `path`: its header is read, nothing is decoded.

    Raises:
        UnreadableError: it is no regular file, or too large.
        Exception: whatever PIL raises for a file it does not know.
    """
    _size(path)
    file = Image.open(path, formats=FORMATS)
    width, height = file.size
    if width * height > LARGEST:
        file.close()
        raise UnreadableError(f"{width} × {height} pixels: more than {LARGEST} are not decoded")
    return file


def _size(path: str) -> int:
    """Bytes of the file at `path`.

    Raises:
        UnreadableError: it is no regular file (a pipe would be waited for, for ever), or too
            large (some decoders read all of it at once), or its name is not UTF-8.
        OSError: it is not there, or may not be read.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if re.search(r"\\x[0-9a-f]{2}", path):  # see genspot.data.layout.utf8
            raise UnreadableError("its name or its folder's is not UTF-8: rename it") from None
        raise
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("not a regular file")
    if status.st_size > LARGEST_FILE:
        raise UnreadableError(f"{status.st_size} bytes: more than {LARGEST_FILE} are not read")
    return status.st_size


def _check_scans(path: str) -> None:
    """Refuse a JPEG that repeats its image in thousands of scans, which takes hours.

    Raises:
        UnreadableError: it has more than `SCANS`.
    """
    with open(path, "rb") as file:
        scans = file.read().count(b"\xff\xda")  # no such bytes occur within compressed data
    if scans > SCANS:
        raise UnreadableError(f"{scans} scans of one JPEG: more than {SCANS} are not decoded")


def _bits(file: Image.Image) -> int:
    """Bits of a 16-bit image that are in use: TIFF knows 12 as well."""
    tags = getattr(file, "tag_v2", {})
    return int(tags[258][0]) if 258 in tags else 16


def resize(image: np.ndarray, side: int | None) -> np.ndarray:
    """`image` with its shorter side made `side` pixels (torchvision's bilinear resize of PIL).

    Raises:
        UnreadableError: it is so long and thin that more than `LARGEST` pixels would come of it.
    """
    short, long = sorted(image.shape[:2])
    if side is None or short == side:
        return image
    if side * (side * long // short) > LARGEST:
        size = f"{image.shape[1]} × {image.shape[0]}"
        raise UnreadableError(f"{size} pixels, resized to {side}, are more than {LARGEST}")
    return np.array(functional.resize(Image.fromarray(image), side))


def pad(image: np.ndarray, size: int) -> np.ndarray:
    """`image` with zeros around it until both sides reach `size`, the odd pixel at the end."""
    height, width = image.shape[:2]
    if height >= size and width >= size:
        return image
    missing = [max(0, size - side) for side in (height, width)]
    before_after = [(gap // 2, (gap + 1) // 2) for gap in missing]
    return np.pad(image, (*before_after, (0, 0)))


def crop(image: np.ndarray, size: int, top: int, left: int) -> np.ndarray:
    """The `size` × `size` window whose first pixel is (`top`, `left`), zero-padded if smaller.

    Cut first: padded as a whole, a long and thin image would fill the memory.
    """
    return pad(image[top : top + size, left : left + size], size)


def centre_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of `image`, zero-padded where it is smaller; torchvision's rounding."""
    top, left = (round(max(0, side - size) / 2) for side in image.shape[:2])
    return crop(image, size, top, left)


def random_crop(image: np.ndarray, size: int, draws: random.Random) -> np.ndarray:
    """A window of `image` drawn uniformly, zero-padded where the image is smaller."""
    top, left = (draws.randrange(max(0, side - size) + 1) for side in image.shape[:2])
    return crop(image, size, top, left)
