"""Reading, resizing and cropping of one image. Arrays are `uint8`, H×W×3, RGB.

The pixels of a file are those of PIL's `convert("RGB")`, which the published pipeline uses: pixels
as they are stored (EXIF's orientation is not applied, except to TIFF, where PIL applies it
itself), transparency dropped and not blended, the first frame of an animation, and the format
taken from the content, whatever the file name ends in. JPEG is decoded at its full size: PIL's
draft mode, which decodes large ones faster, gives other pixels.

There are two exceptions. 16-bit grey, which PIL would clip to white, keeps its most significant
byte, as PIL's own conversion of 16-bit RGB does. What is no regular photo is refused with a
reason: decompression bombs, 32-bit grey.

A photo is decoded in strips, so that it takes about 8 bytes a pixel: PIL's pixels and the array.
Progressive JPEG, AVIF and WebP take up to twice that within their decoders. Of several processes
that read, one at a time decodes a photo of more than `LARGE_PIXELS`.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import random
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO

import numpy as np
from PIL import (
    Image,
    UnidentifiedImageError,
    _imaging,  # private: the only way to libtiff's error handler, see below
)

from genspot.common.images import UnreadableError as UnreadableError
from genspot.common.images import check_size, is_out_of_memory
from genspot.data import png
from genspot.data.encoded import check_scans, find_content, max_file_bytes
from genspot.data.settings import MAX_MEGAPIXELS, MEGAPIXEL

# The formats of photos among those that PIL can open, whatever the files are named. Other formats
# start programs (EPS) or take unlimited time.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF")
NETWORK_BYTES = 205  # a pixel takes within a ResNet-50 in float32, measured at 2 to 6 megapixels
LARGE_PIXELS = 2**25
STRIP_PIXELS = 2**24  # decoded pixels that are converted at a time

# Held while a large photo is decoded. In a reading process it is a lock that all of them share.
large_photo_lock: AbstractContextManager[object] = threading.Lock()

# Each unreadable file is reported once, with its reason, so PIL's own warnings are switched off.
# For the whole process: `warnings.catch_warnings` is not safe with threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
with contextlib.suppress(OSError, AttributeError):  # libtiff, linked into PIL, prints to stderr
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def describe_error(error: Exception) -> str:
    """Return one line of UTF-8 that says why a file could not be read."""
    if isinstance(error, UnreadableError):
        text = str(error)
    elif isinstance(error, UnidentifiedImageError):
        text = f"its content is no image of a known format ({', '.join(FORMATS)})"
    elif is_out_of_memory(error):
        text = "not enough memory for this image; fewer workers or a smaller max_megapixels help"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def read(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """Return the image at `path`, with the pixels that PIL gives it.

    Args:
        path: of the file.
        max_megapixels: larger images are refused by their header, before they are decoded.

    Raises:
        UnreadableError: the file is empty, not regular or too large, or has no known range of
            values.
        Exception: whatever PIL raises for a file it cannot decode.
    """
    content = find_content(path, max_megapixels)
    if isinstance(content, bytes):
        pixels = png.decode(content, max_megapixels * MEGAPIXEL)
    elif path[-4:].lower() == ".png" and content <= png.MAX_FILE_BYTES:
        with open(path, "rb") as file:
            pixels = png.decode(file.read(), max_megapixels * MEGAPIXEL)
    else:
        pixels = None
    return _decode(path, content, max_megapixels) if pixels is None else pixels


def read_with_pil(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """Return the image at `path` as the published pipeline reads it, except for 16-bit grey.

    Raises:
        see `read`.
    """
    return _decode(path, find_content(path, max_megapixels), max_megapixels)


def read_bytes(
    path: str, content: bytes, max_megapixels: int = MAX_MEGAPIXELS, with_pil: bool = False
) -> np.ndarray:
    """Return the image whose file would be at `path` and hold `content`; see `read`.

    Args:
        path: for messages; as in `read`, its ending decides what is tried first.
        content: encoded.
        max_megapixels: larger images are refused.
        with_pil: decode it as `read_with_pil` does.
    """
    check_size(len(content), max_file_bytes(max_megapixels))
    is_png = path[-4:].lower() == ".png" and len(content) <= png.MAX_FILE_BYTES
    if is_png and not with_pil:
        pixels = png.decode(content, max_megapixels * MEGAPIXEL)
        if pixels is not None:
            return pixels
    return _decode(path, content, max_megapixels)


def _decode(path: str, content: bytes | int, max_megapixels: int) -> np.ndarray:
    """Return the pixels of an image by PIL; see `find_content` of the content."""
    with open_content(path, content, max_megapixels) as file:
        return decode_opened(file, path, content)


def decode_opened(file: Image.Image, path: str, content: bytes | int) -> np.ndarray:
    """Return the pixels of what `open_content` returned for `path` and `content`.

    Raises:
        see `read`.
    """
    if file.format in ("JPEG", "MPO"):
        check_scans(path, content)
    with large_photo_lock if file.width * file.height > LARGE_PIXELS else nullcontext():
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
    image.load()  # before its size is taken: PIL rotates TIFF when it is loaded
    if image.width * image.height <= STRIP_PIXELS:
        return np.array(image.convert("RGB"))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = np.asarray(strip.convert("RGB"))
    return pixels


def open_image(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> Image.Image:
    """Return the image file at `path`, its header read and nothing decoded.

    Raises:
        UnreadableError: the file is empty, not regular or too large.
        Exception: whatever PIL raises for a file that it does not recognise.
    """
    return open_content(path, find_content(path, max_megapixels), max_megapixels)


def open_content(path: str, content: bytes | int, max_megapixels: int) -> Image.Image:
    """Return an image, its header read and nothing decoded; see `find_content` of the content.

    Raises:
        see `open_image`.
    """
    limit = max_megapixels * MEGAPIXEL
    if Image.MAX_IMAGE_PIXELS is not None and limit > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit  # PIL refuses images of more than twice as many pixels
    try:
        source = BytesIO(content) if isinstance(content, bytes) else path
        file = Image.open(source, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"more pixels than max_megapixels={max_megapixels}") from error
    try:
        check_pixels(*file.size, max_megapixels)
    except UnreadableError:
        file.close()
        raise
    return file


def check_pixels(width: int, height: int, max_megapixels: int) -> None:
    """Raise UnreadableError if an image of this size has more pixels than `max_megapixels`."""
    if width * height > max_megapixels * MEGAPIXEL:
        raise UnreadableError(
            f"{width} × {height} pixels are more than max_megapixels={max_megapixels}"
        )


def check_whole_image(image: np.ndarray, max_megapixels: int) -> None:
    """Raise if `image` (H×W×3) is too large for a network to see all of it at once.

    Raises:
        UnreadableError: with what to do instead.
    """
    height, width = image.shape[:2]
    if width * height > max_megapixels * MEGAPIXEL:
        gigabytes = width * height * NETWORK_BYTES / 1e9
        raise UnreadableError(
            f"{width} × {height} pixels are more than max_whole_megapixels={max_megapixels}: a "
            f"ResNet-50 takes about {gigabytes:.0f} GB for the whole image; crop=N scores a part"
        )


def _used_bits(file: Image.Image) -> int:
    """Return how many bits of a 16-bit image are used: TIFF also has 12."""
    tags = getattr(file, "tag_v2", {})
    return int(tags[258][0]) if 258 in tags else 16  # 258: BitsPerSample


def resize(
    image: np.ndarray, size: int | tuple[int, int] | None, max_megapixels: int = MAX_MEGAPIXELS
) -> np.ndarray:
    """Return `image` resized by torchvision's bilinear resize of PIL images.

    Args:
        image: `uint8`, H×W×3.
        size: length of the shorter side, or (height, width), in pixels; None keeps the size.
        max_megapixels: of the result.

    Raises:
        UnreadableError: the image is so long and thin that the result would be larger.
    """
    height, width = image.shape[:2]
    shorter, longer = sorted((height, width))
    if size is None or size in (shorter, (height, width)):
        return image
    limit = max_megapixels * MEGAPIXEL
    if isinstance(size, int) and size * (size * longer // shorter) > limit:
        raise UnreadableError(
            f"{width} × {height} pixels, resized to {size}, are more than "
            f"max_megapixels={max_megapixels}"
        )
    if isinstance(size, int):  # torchvision's rounding of the longer side
        scaled = int(size * longer / shorter)
        size = (scaled, size) if height > width else (size, scaled)
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(resized)


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
