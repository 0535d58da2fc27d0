"""What all rooms take for an image, and an augmentation's part in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from genspot.common.errors import GenspotError

OPENCV_NO_MEMORY = -4  # cv2.Error.StsNoMem


class UnreadableError(OSError):
    """An image that is refused; the message is the reason."""


def check_size(size: int, max_bytes: int) -> None:
    """Raise UnreadableError if the file of an image, of `size` bytes, is empty or too large."""
    if not size:
        raise UnreadableError("an empty file")
    if size > max_bytes:
        raise UnreadableError(f"{size} bytes: more than {max_bytes} are not read")


def describe_wrong_image(value: object) -> str | None:
    """Return what `value` is, for a message; None if it is an image: `uint8`, H×W×3, not empty."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return f"a {type(value).__name__}"
    is_array = isinstance(value, np.ndarray)
    if is_array and dtype == np.uint8 and len(shape) == 3 and shape[2] == 3 and 0 not in shape:
        return None
    kind = "" if is_array else f"a {type(value).__name__} of "
    return f"{kind}{dtype} of {' × '.join(map(str, shape))}"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether `error` is that of Python, NumPy, PIL or OpenCV for missing memory."""
    return isinstance(error, MemoryError) or getattr(error, "code", None) == OPENCV_NO_MEMORY


def augmented(
    setting: str,
    augment: Callable[..., dict[str, Any]],
    path: str,
    image: np.ndarray,
    crop: int | None = None,
) -> np.ndarray:
    """Return `image`, augmented.

    Args:
        setting: where the augmentation stands, for messages.
        augment: an albumentations transform.
        path: of the image, for messages.
        image: `uint8`, H×W×3.
        crop: side of the crop that follows, in pixels; None: any size is right.

    Raises:
        GenspotError: the augmentation raises, or returns something else than an image, or one
            that is smaller than the crop though `image` is not.
        Exception: there is too little memory for this image.
    """
    size = f"{path} ({image.shape[1]} × {image.shape[0]} pixels)"
    try:
        result = augment(image=image)["image"]
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        if isinstance(error, Exception) and is_out_of_memory(error):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise GenspotError(f"{setting} fails on {size}: {reason}") from error
    if wrong := describe_wrong_image(result):
        raise GenspotError(
            f"{setting} returns {wrong} for {size}; it must return uint8 of H × W × 3, which the "
            "model itself normalises"
        )
    if crop and min(result.shape[:2]) < crop <= min(image.shape[:2]):
        raise GenspotError(
            f"{setting} returns {result.shape[1]} × {result.shape[0]} pixels for {size}: zeros "
            f"would fill the rest of the crop of {crop}; choose a smaller crop, or pad in the "
            "augmentation"
        )
    return result
