"""One image: read, resized, cut. Arrays are `uint8`, H×W×3, RGB."""

from __future__ import annotations

import os
import random

import numpy as np
from PIL import Image
from torchvision.transforms import functional

from data import png


class UnreadableError(OSError):
    """An image known to be unreadable; the message is the reason given when that was found."""


def reason(error: Exception) -> str:
    """One line that says why a file could not be read."""
    if isinstance(error, UnreadableError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())


def read(path: str) -> np.ndarray:
    """The image at `path`, with PIL's pixels.

    Raises:
        Exception: whatever PIL raises for a file it cannot decode.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for, for ever
        raise OSError("not a regular file")
    if path[-4:].lower() == ".png":
        with open(path, "rb") as file:
            pixels = png.decode(file.read())
        if pixels is not None:
            return pixels
    return pil_read(path)


def pil_read(path: str) -> np.ndarray:
    """The image at `path` as the published pipeline reads it."""
    with Image.open(path) as file:
        return np.array(file.convert("RGB"))


def resize(image: np.ndarray, side: int | None) -> np.ndarray:
    """`image` with its shorter side made `side` pixels (torchvision's bilinear resize of PIL)."""
    if side is None or min(image.shape[:2]) == side:
        return image
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
    """The `size` × `size` window whose first pixel is (`top`, `left`)."""
    return image[top : top + size, left : left + size]


def centre_crop(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of `image`, zero-padded where it is smaller; torchvision's rounding."""
    image = pad(image, size)
    top, left = (round((side - size) / 2) for side in image.shape[:2])
    return crop(image, size, top, left)


def random_crop(image: np.ndarray, size: int, draws: random.Random) -> np.ndarray:
    """A window of `image` drawn uniformly, zero-padded where the image is smaller."""
    image = pad(image, size)
    top, left = (draws.randrange(side - size + 1) for side in image.shape[:2])
    return crop(image, size, top, left)
