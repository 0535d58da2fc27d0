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

BLOCK = 8  # pixels a side
# Low frequencies along both axes: high ones are zero at any phase of a smooth image.
FREQUENCIES = range(1, 5)
NEAR_ZERO = 0.5  # a coefficient below it was quantized to zero, or would be by a step of one
MIN_BLOCKS = 4  # along each axis
# How far the grid stands out, in standard deviations of the other phases. Of 1,071 windows (112
# pixels) of the shipped photographs, scaled by 2/3 and some of them upsampled or blurred, 2 do so
# without a grid; of 357 that were JPEG of quality 75 once, 97% do.
FOUND = 5.0


def _basis() -> np.ndarray:
    """Return the orthonormal DCT-II of 8 values as a matrix: frequencies × values."""
    places = np.arange(BLOCK)
    angles = np.pi / BLOCK * np.outer(places, places + 0.5)
    scale = np.where(places == 0, np.sqrt(1 / BLOCK), np.sqrt(2 / BLOCK))
    return (scale[:, None] * np.cos(angles)).astype(np.float32)


BASIS = _basis()


def grid_statistics(grey: np.ndarray) -> dict[str, Any]:
    """Return the columns of PROBE_SCHEMA that describe a grid; 0 and None without one.

    The strength is how much nearer to whole numbers the coefficients are at the grid's phase
    than elsewhere: 1 if all are whole numbers there, and those elsewhere are anywhere.
    "zero_share" is how many more of them are near zero.

    Args:
        grey: uint8, H×W: rounded, as the luminance was when JPEG was decoded.
    """
    none = {"grid_strength": 0.0, "zero_share": 0.0, "grid_x": None, "grid_y": None}
    if min(grey.shape) < BLOCK * (MIN_BLOCKS + 1):
        return none
    whole, near_zero = coefficient_maps(grey)
    y, x = divmod(int(whole.argmax()), BLOCK)
    others = np.ones((BLOCK, BLOCK), bool)
    others[y], others[:, x] = False, False  # these share an axis with the grid, and part of it
    strength = float(whole[y, x] - whole[others].mean())
    if strength < FOUND * max(float(whole[others].std()), 1e-3):
        return none
    return {
        "grid_strength": strength,
        "zero_share": float(near_zero[y, x] - near_zero[others].mean()),
        "grid_x": x,
        "grid_y": y,
    }


def coefficient_maps(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each phase of a grid, what its DCT coefficients are like; two arrays of 8×8.

    The first is 1 − 12 × the mean squared distance from whole numbers: 1 for whole numbers, 0 for
    any numbers. The second is the share of coefficients below `NEAR_ZERO`. Rows are the phases
    down, columns those to the right.

    Args:
        grey: uint8, H×W.
    """
    values = grey.astype(np.float32)
    rows, columns = ((side - BLOCK + 1) // BLOCK * BLOCK for side in grey.shape)
    squares, near_zero = np.zeros((2, BLOCK, BLOCK))
    for down in FREQUENCIES:
        for right in FREQUENCIES:
            # The coefficient of the block whose first pixel is at each place.
            moved = cv2.sepFilter2D(values, -1, BASIS[right], BASIS[down], anchor=(0, 0))
            found = moved[:rows, :columns]
            near_zero += _by_phase((np.abs(found) < NEAR_ZERO).astype(np.float32))
            squares += _by_phase(np.square(found - np.rint(found)))
    count = len(FREQUENCIES) ** 2 * rows * columns / BLOCK**2
    return 1 - 12 * squares / count, near_zero / count


def _by_phase(values: np.ndarray) -> np.ndarray:
    """Return the sum of `values` over the places of each phase, 8×8."""
    rows, columns = values.shape
    sums = values.reshape(rows // BLOCK, BLOCK * columns).sum(axis=0)
    return sums.reshape(BLOCK, columns // BLOCK, BLOCK).sum(axis=1)
