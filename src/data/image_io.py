"""Reading, resizing and cropping of one image. Arrays are `uint8`, H×W×3, RGB.

The pixels of a file are those of PIL's `convert("RGB")`, which the published pipeline uses: pixels
as they are stored (EXIF's orientation is not applied, except to TIFF, where PIL applies it
itself), transparency dropped and not blended, the first frame of an animation, and the format
taken from the content, whatever the file name ends in.

There are two exceptions. 16-bit grey, which PIL would clip to white, keeps its most significant
byte, as PIL's own conversion of 16-bit RGB does. What is no regular photo is refused with a
reason: decompression bombs, 32-bit grey.
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
from PIL import (
    Image,
    _imaging,  # private: the only way to libtiff's error handler, see below
)
from torchvision.transforms import functional

from genspot.data import png

# The formats of photos among those that PIL can open, whatever the files are named. Other formats
# start programs (EPS) or take unlimited time.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF")
MAX_PIXELS = 89_478_485  # above it, PIL warns of decompression bombs
MAX_FILE_BYTES = 2**30  # MAX_PIXELS pixels take less in every format
MAX_JPEG_SCANS = 100  # encoders write about ten; decoding each costs a pass over the whole image

# Each unreadable file is reported once, with its reason, so PIL's own warnings are switched off.
# For the whole process: `warnings.catch_warnings` is not safe with threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with contextlib.suppress(OSError, AttributeError):  # libtiff, linked into PIL, prints to stderr
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


class UnreadableError(OSError):
    """An image that is refused; the message is the reason."""


def describe_error(error: Exception) -> str:
    """Return one line of UTF-8 that says why a file could not be read."""
    text = str(error) if isinstance(error, UnreadableError) else f"{type(error).__name__}: {error}"
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def read(path: str) -> np.ndarray:
    """Return the image at `path`, with the pixels that PIL gives it.

    Raises:
        UnreadableError: the file is not regular, is too large, or has no known range of values.
        Exception: whatever PIL raises for a file it cannot decode.
    """
    size = check_file(path)
    if path[-4:].lower() == ".png" and size <= png.MAX_FILE_BYTES:
        with open(path, "rb") as file:
            pixels = png.decode(file.read())
        if pixels is not None:
            return pixels
    return read_with_pil(path)


def read_with_pil(path: str) -> np.ndarray:
    """Return the image at `path` as the published pipeline reads it, except for 16-bit grey.

    Raises:
        see `read`.
    """
    with open_image(path) as file:
        if file.format in ("JPEG", "MPO"):
            _check_scans(path)
        return to_rgb(file)


def to_rgb(image: Image.Image) -> np.ndarray:
    """Return the pixels of a PIL image, `uint8` H×W×3; of 16-bit grey the upper byte.

    Raises:
        UnreadableError: 32-bit grey.
    """
    if image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM"):
        grey = np.asarray(image) >> _used_bits(image) - 8
        return grey.astype(np.uint8)[..., None].repeat(3, axis=2)
    if image.mode in ("I", "F"):
        raise UnreadableError("32-bit grey, which has no known range: save it with 8 or 16")
    return np.array(image.convert("RGB"))


def open_image(path: str) -> Image.Image:
    """Return the image file at `path`, its header read and nothing decoded.

    Raises:
        UnreadableError: the file is not regular, or is too large.
        Exception: whatever PIL raises for a file that it does not recognise.
    """
    check_file(path)
    file = Image.open(path, formats=FORMATS)
    width, height = file.size
    if width * height > MAX_PIXELS:
        file.close()
        raise UnreadableError(f"{width} × {height} pixels: more than {MAX_PIXELS} are not decoded")
    return file


def check_file(path: str) -> int:
    """Return the size of the file at `path` in bytes.

    Raises:
        UnreadableError: the file is not regular (reading a pipe could block for ever), is too
            large (some decoders read all of it at once), or its name is not UTF-8.
        OSError: the file does not exist or may not be read.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if re.search(r"\\x[0-9a-f]{2}", path):  # see genspot.data.layout.utf8_path
            raise UnreadableError("its name or its folder's is not UTF-8: rename it") from None
        raise
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("not a regular file")
    if status.st_size > MAX_FILE_BYTES:
        raise UnreadableError(f"{status.st_size} bytes: more than {MAX_FILE_BYTES} are not read")
    return status.st_size


def _check_scans(path: str) -> None:
    """Raise if a JPEG repeats its image in thousands of scans, which would take hours to decode.

    Raises:
        UnreadableError: the file has more than `MAX_JPEG_SCANS` scans.
    """
    with open(path, "rb") as file:
        scans = file.read().count(b"\xff\xda")  # these bytes do not occur in compressed data
    if scans > MAX_JPEG_SCANS:
        raise UnreadableError(
            f"{scans} scans of one JPEG: more than {MAX_JPEG_SCANS} are not decoded"
        )


def _used_bits(file: Image.Image) -> int:
    """Return how many bits of a 16-bit image are used: TIFF also has 12."""
    tags = getattr(file, "tag_v2", {})
    return int(tags[258][0]) if 258 in tags else 16  # 258: BitsPerSample


def resize(image: np.ndarray, size: int | tuple[int, int] | None) -> np.ndarray:
    """Return `image` resized by torchvision's bilinear resize of PIL images.

    Args:
        image: `uint8`, H×W×3.
        size: length of the shorter side, or (height, width), in pixels; None keeps the size.

    Raises:
        UnreadableError: the image is so long and thin that the result would have more than
            `MAX_PIXELS` pixels.
    """
    height, width = image.shape[:2]
    shorter, longer = sorted((height, width))
    if size is None or size in (shorter, (height, width)):
        return image
    if isinstance(size, int) and size * (size * longer // shorter) > MAX_PIXELS:
        raise UnreadableError(
            f"{width} × {height} pixels, resized to {size}, are more than {MAX_PIXELS}"
        )
    target = size if isinstance(size, int) else list(size)
    return np.array(functional.resize(Image.fromarray(image), target))


def crop(image: np.ndarray, size: int, top: int, left: int) -> np.ndarray:
    """Return the `size` × `size` window at (`top`, `left`), zero-padded if the image is smaller.

    The image is cropped before it is padded: padded as a whole, a long and thin image would fill
    the memory. Of an odd number of missing pixels, the end gets one more than the beginning.
    """
    window = image[top : top + size, left : left + size]
    missing = [size - side for side in window.shape[:2]]
    if not any(missing):
        return window
    return np.pad(window, [*((count // 2, (count + 1) // 2) for count in missing), (0, 0)])


def centre_crop(image: np.ndarray, size: int) -> np.ndarray:
    """Return the central `size` × `size` window with torchvision's rounding, zero-padded."""
    top, left = (round(max(0, side - size) / 2) for side in image.shape[:2])
    return crop(image, size, top, left)


def random_crop(image: np.ndarray, size: int, rng: random.Random) -> np.ndarray:
    """Return a uniformly drawn `size` × `size` window, zero-padded if the image is smaller."""
    top, left = (rng.randrange(max(0, side - size) + 1) for side in image.shape[:2])
    return crop(image, size, top, left)
