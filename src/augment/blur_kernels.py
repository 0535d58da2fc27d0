"""SciPy's truncating Gaussian blur, compiled by numba to one pass over an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

TRUNCATE = 4.0  # radius of the kernel in standard deviations, as in SciPy


def gaussian_weights(sigma: float) -> np.ndarray:
    """Return the kernel from its centre outwards, computed as in SciPy: float64, radius + 1."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    return np.ascontiguousarray((kernel / kernel.sum())[radius:])


@njit
def _reflect(index: Any, size: Any) -> Any:
    """Return the pixel that stands at `index` outside the image: (d c b a | a b c d | d c b a)."""
    index = index % (2 * size)
    return index if index < size else 2 * size - 1 - index


@njit
def _correlate(sums: Any, pixels: Any, centre: Any, stride: Any, weights: Any) -> None:
    """Write to `sums` the weighted sums around `pixels[centre:]` with neighbours `stride` apart.

    The order is that of SciPy's symmetric correlation: the centre, then pairs of neighbours from
    the farthest to the nearest, in float64 (the sum of a pair is exact in float32). Four pairs
    are added at a time, so that `sums` passes through memory a quarter as often.
    """
    count, radius = len(sums), len(weights) - 1
    middle, weight = pixels[centre : centre + count], weights[0]
    for j in range(count):
        sums[j] = np.float64(middle[j]) * weight
    multiple = radius - radius % 4
    for k in range(radius, multiple, -1):
        low, high, weight = centre - k * stride, centre + k * stride, weights[k]
        a, b = pixels[low : low + count], pixels[high : high + count]
        for j in range(count):
            sums[j] += np.float64(a[j] + b[j]) * weight
    for k in range(multiple, 0, -4):
        low, high = centre - k * stride, centre + k * stride
        a4, b4 = pixels[low : low + count], pixels[high : high + count]
        low, high = low + stride, high - stride
        a3, b3 = pixels[low : low + count], pixels[high : high + count]
        low, high = low + stride, high - stride
        a2, b2 = pixels[low : low + count], pixels[high : high + count]
        low, high = low + stride, high - stride
        a1, b1 = pixels[low : low + count], pixels[high : high + count]
        w4, w3, w2, w1 = weights[k], weights[k - 1], weights[k - 2], weights[k - 3]
        for j in range(count):
            total = sums[j] + np.float64(a4[j] + b4[j]) * w4
            total += np.float64(a3[j] + b3[j]) * w3
            total += np.float64(a2[j] + b2[j]) * w2
            sums[j] = total + np.float64(a1[j] + b1[j]) * w1


@njit
def _rows_with_margins(image: Any, radius: Any) -> Any:
    """Return the rows of `image` as flat float32, with `radius` reflected rows at either end."""
    height, width, channels = image.shape
    count = width * channels
    rows = np.empty((height + 2 * radius, count), np.float32)
    for y in range(len(rows)):
        source, row = image[_reflect(y - radius, height)].reshape(count), rows[y]
        for j in range(count):
            row[j] = np.float32(source[j])
    return rows.reshape(rows.size)


@njit
def _fill_margins(row: Any, margin: Any, channels: Any) -> None:
    """Reflect the middle of `row` into the `margin` values at either end."""
    width = (len(row) - 2 * margin) // channels
    for x in range(1, margin // channels + 1):
        left, right = margin - x * channels, margin + (width - 1 + x) * channels
        left_source = margin + _reflect(-x, width) * channels
        right_source = margin + _reflect(width - 1 + x, width) * channels
        for c in range(channels):
            row[left + c] = row[left_source + c]
            row[right + c] = row[right_source + c]


@njit("void(uint8[:,:,::1], uint8[:,:,::1], float64[::1])", error_model="numpy", cache=True)
def truncating_blur(image: Any, blurred: Any, weights: Any) -> None:
    """Blur `image` (H×W×C) into `blurred` along columns, then rows, truncating after each axis.

    Each row goes through both axes while it is in the cache.
    """
    height, width, channels = image.shape
    radius, count = len(weights) - 1, width * channels
    rows, results = _rows_with_margins(image, radius), blurred.reshape(height, count)
    margin = radius * channels
    row = np.empty(count + 2 * margin, np.float32)
    middle = row[margin : margin + count]
    sums = np.empty(count, np.float64)
    for y in range(height):
        _correlate(sums, rows, (y + radius) * count, count, weights)
        for j in range(count):
            middle[j] = np.float32(np.int32(sums[j]))
        _fill_margins(row, margin, channels)
        _correlate(sums, row, margin, channels, weights)
        result = results[y]
        for j in range(count):
            result[j] = np.int32(sums[j])
