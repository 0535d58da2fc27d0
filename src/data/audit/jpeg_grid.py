"""Traces of JPEG in pixels, whatever the file's format: a grid of 8×8 blocks.

JPEG stores the DCT coefficients of each block as multiples of whole steps. After decoding they
are near whole numbers still, in the blocks of its grid and in no others, also of an image that was
cropped and saved as PNG. So the coefficients of blocks at all 64 phases are compared. Resizing
destroys the traces. That decoded coefficients form a lattice is the basis of Neelamani et al.,
"JPEG Compression History Estimation for Color Images", IEEE Transactions on Image Processing 2006.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from genspot.data.audit.header import TABLES

BLOCK = 8  # pixels a side
# Low frequencies along both axes: high ones are zero at any phase of a smooth image.
FREQUENCIES = range(1, 5)
QUALITY_FREQUENCIES = 4  # along each axis, from 0 on
QUALITY_BLOCKS = 200
MIN_BLOCKS = 4  # along each axis
# How far the grid stands out, in standard deviations of the other phases. Of 1,071 windows (112
# pixels) of the shipped photographs, scaled by 2/3 and some of them upsampled or blurred, 2 do so
# without a grid; of 357 that were JPEG of quality 75 once, 97% do.
FOUND = 5.0
PART_SIDE = 512  # pixels: statistics are of a part of at most this side, in the middle


def _basis() -> np.ndarray:
    """Return the orthonormal DCT-II of 8 values as a matrix: frequencies × values."""
    places = np.arange(BLOCK)
    angles = np.pi / BLOCK * np.outer(places, places + 0.5)
    basis = np.sqrt(2 / BLOCK) * np.cos(angles)
    basis[0] = np.sqrt(1 / BLOCK)
    return basis.astype(np.float32)


BASIS = _basis()


def middle(image: np.ndarray) -> np.ndarray:
    """Return the middle of an image, at most `PART_SIDE` a side.

    It begins at a multiple of 8 pixels, so that the phase of an 8×8 grid remains.
    """
    top, left = (max(0, side - PART_SIDE) // 2 // BLOCK * BLOCK for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + PART_SIDE, left : left + PART_SIDE])


def grid_statistics(grey: np.ndarray) -> dict[str, Any]:
    """Return the columns of PROBE_SCHEMA that describe a grid; 0 and None without one.

    The strength is how much nearer to whole numbers the coefficients are at the grid's phase
    than elsewhere: 1 if all are whole numbers there, and those elsewhere are anywhere.

    Args:
        grey: uint8, H×W: rounded, as the luminance was when JPEG was decoded.
    """
    none = {"grid_strength": 0.0, "grid_quality": None, "grid_x": None, "grid_y": None}
    if min(grey.shape) < BLOCK * (MIN_BLOCKS + 1):
        return none
    whole = wholeness(grey)
    y, x = divmod(int(whole.argmax()), BLOCK)
    others = np.ones((BLOCK, BLOCK), bool)
    others[y], others[:, x] = False, False  # these share an axis with the grid, and part of it
    strength = float(whole[y, x] - whole[others].mean())
    if strength < FOUND * max(float(whole[others].std()), 1e-3):
        return none
    quality = grid_quality(grey[y:, x:])
    return {"grid_strength": strength, "grid_quality": quality, "grid_x": x, "grid_y": y}


def wholeness(grey: np.ndarray) -> np.ndarray:
    """Return how near to whole numbers the DCT coefficients are for each phase of a grid, 8×8.

    It is 1 − 12 × the mean squared distance: 1 for whole numbers, 0 for any numbers. Rows are the
    phases down, columns those to the right.

    Args:
        grey: uint8, H×W.
    """
    values = grey.astype(np.float32)
    rows, columns = ((side - BLOCK + 1) // BLOCK * BLOCK for side in grey.shape)
    squares = np.zeros((BLOCK, BLOCK))
    for down in FREQUENCIES:
        for right in FREQUENCIES:
            # The coefficient of the block whose first pixel is at each place.
            moved = cv2.sepFilter2D(values, -1, BASIS[right], BASIS[down], anchor=(0, 0))
            found = moved[:rows, :columns]
            squares += _by_phase(np.square(found - np.rint(found)))
    return 1 - 12 * squares / (len(FREQUENCIES) ** 2 * rows * columns / BLOCK**2)


def grid_quality(grey: np.ndarray) -> int:
    """Return the quality, 1 to 100, whose steps the DCT coefficients are multiples of.

    It is that of IJG's luminance tables (`header.TABLES`) for which the coefficients that are not
    zero lie closest to multiples of its steps, in standard deviations of what any numbers would
    have. Of equal ones it is the highest. Only the lowest frequencies count, of at most
    `QUALITY_BLOCKS` blocks; above 97, their steps are the same for all qualities.

    Args:
        grey: uint8, H×W, beginning with a whole block.
    """
    rows, columns = (side // BLOCK for side in grey.shape)
    whole = grey[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    blocks = whole.swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)
    blocks = blocks[:: -(-len(blocks) // QUALITY_BLOCKS)].astype(np.float32)
    count = QUALITY_FREQUENCIES
    found = (BASIS[:count] @ blocks @ BASIS[:count].T).reshape(-1, count**2)[:, 1:]
    tables = TABLES.reshape(-1, BLOCK, BLOCK)[:, :count, :count].reshape(-1, count**2)[:, 1:]
    steps = found / tables[:, None].astype(np.float32)  # qualities × blocks × frequencies
    nearest = np.rint(steps)
    used = nearest != 0
    fits = np.where(used, 1 - 12 * np.square(steps - nearest), 0).sum(axis=(1, 2))
    deviations = np.sqrt(0.8 * used.sum(axis=(1, 2)) + 1)  # 0.8: the variance of 1 − 12 d²
    return len(fits) - int((fits / deviations)[::-1].argmax())


def _by_phase(values: np.ndarray) -> np.ndarray:
    """Return the sum of `values` over the places of each phase, 8×8."""
    rows, columns = values.shape
    sums = values.reshape(rows // BLOCK, BLOCK * columns).sum(axis=0)
    return sums.reshape(BLOCK, columns // BLOCK, BLOCK).sum(axis=1)
