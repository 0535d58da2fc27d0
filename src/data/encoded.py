"""Encoded images, in files and within containers, and their limits before anything is decoded."""

from __future__ import annotations

import os
import stat
from io import BytesIO

from genspot.common import containers
from genspot.common.images import UnreadableError, check_size
from genspot.data.settings import MAX_MEGAPIXELS, MEGAPIXEL

MAX_FILE_BYTES = 2**30  # a larger file is read only if its pixels may take that
MAX_JPEG_SCANS = 100  # encoders write about ten; decoding each costs a pass over the whole image
MAX_PIXEL_BYTES = 8  # in a file: 16-bit RGBA, not compressed


def find_content(path: str, max_megapixels: int = MAX_MEGAPIXELS) -> bytes | int:
    """Return the content of an image within a container, or the size of a file in bytes.

    Raises:
        UnreadableError: the file is empty or not regular (reading a pipe could block for ever),
            is too large (some decoders read all of it at once), or the locale lacks its name; or
            the container gives no such image.
        OSError: the file does not exist or may not be read.
    """
    limit = max_file_bytes(max_megapixels)
    try:
        status = os.stat(path)
    except UnicodeEncodeError as error:
        raise UnreadableError(
            f"its name cannot be written in {error.encoding}, the locale's encoding: set "
            "LC_ALL=C.UTF-8"
        ) from None
    except OSError as error:
        if error.errno not in containers.INSIDE:
            raise
        return containers.read_bytes(path, limit)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("not a regular file")
    check_size(status.st_size, limit)
    return status.st_size


def max_file_bytes(max_megapixels: int) -> int:
    """Return how many bytes the file of an image may have."""
    return max(MAX_FILE_BYTES, max_megapixels * MEGAPIXEL * MAX_PIXEL_BYTES)


def check_scans(path: str, content: bytes | int) -> None:
    """Raise if a JPEG repeats its image in thousands of scans, which would take hours to decode.

    Raises:
        UnreadableError: the file has more than `MAX_JPEG_SCANS` scans.
    """
    scans, last = 0, b""
    with BytesIO(content) if isinstance(content, bytes) else open(path, "rb") as file:
        while chunk := file.read(2**18):
            scans += (last + chunk).count(b"\xff\xda")  # does not occur in compressed data
            last = chunk[-1:]
    if scans > MAX_JPEG_SCANS:
        raise UnreadableError(
            f"{scans} scans of one JPEG: more than {MAX_JPEG_SCANS} are not decoded"
        )
