"""SciPy's truncating Gaussian blur in one compiled pass over an image (numba)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

TRUNCATE = 4.0  # standard deviations at which SciPy cuts the kernel off


def weights(sigma: float) -> np.ndarray:
    """The Gaussian from its centre outwards, as SciPy computes it: float64, radius + 1."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    line = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    return np.ascontiguousarray((line / line.sum())[radius:])


@njit
def _mirror(index: Any, size: Any) -> Any:
    """The pixel that `index` beyond the edge repeats: (d c b a | a b c d | d c b a)."""
    index = index % (2 * size)
    return index if index < size else 2 * size - 1 - index


@njit
def _correlate(sums: Any, pixels: Any, centre: Any, stride: Any, weights: Any) -> None:
    """Weighted sums around `pixels[centre:]`, whose neighbours lie `stride` apart.

    The order of SciPy's symmetric correlation: the centre, then pairs of neighbours from the
    farthest to the nearest, in float64 (a pair's own sum is exact in float32). Four pairs at a
    time, so that the sums go through memory a quarter as often.
    """
    count, radius = len(sums), len(weights) - 1
    middle, weight = pixels[centre : centre + count], weights[0]
    for j in range(count):
        sums[j] = np.float64(middle[j]) * weight
    fours = radius - radius % 4
    for k in range(radius, fours, -1):
        low, high, weight = centre - k * stride, centre + k * stride, weights[k]
        a, b = pixels[low : low + count], pixels[high : high + count]
        for j in range(count):
            sums[j] += np.float64(a[j] + b[j]) * weight
    for k in range(fours, 0, -4):
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
def _mirrored_rows(image: Any, radius: Any) -> Any:
    """The rows of `image` as one line of float32, with `radius` mirrored rows at either end."""
    height, width, channels = image.shape
    count = width * channels
    rows = np.empty((height + 2 * radius, count), np.float32)
    for y in range(len(rows)):
        source, row = image[_mirror(y - radius, height)].reshape(count), rows[y]
        for j in range(count):
            row[j] = np.float32(source[j])
    return rows.reshape(rows.size)


@njit
def _fill_margins(line: Any, margin: Any, channels: Any) -> None:
    """Mirror the middle of `line` into the `margin` at either end."""
    width = (len(line) - 2 * margin) // channels
    for x in range(1, margin // channels + 1):
        left, right = margin - x * channels, margin + (width - 1 + x) * channels
        from_left = margin + _mirror(-x, width) * channels
        from_right = margin + _mirror(width - 1 + x, width) * channels
        for c in range(channels):
            line[left + c] = line[from_left + c]
            line[right + c] = line[from_right + c]


@njit("void(uint8[:,:,::1], uint8[:,:,::1], float64[::1])", error_model="numpy", cache=True)
def truncating_blur(image: Any, blurred: Any, weights: Any) -> None:
    """Blur H×W×C `image` into `blurred` down, then across, cutting fractions off after each.

    A row goes through both axes while it is in the cache.
    """
    height, width, channels = image.shape
    radius, count = len(weights) - 1, width * channels
    rows, results = _mirrored_rows(image, radius), blurred.reshape(height, count)
    margin = radius * channels
    line = np.empty(count + 2 * margin, np.float32)
    middle = line[margin : margin + count]
    sums = np.empty(count, np.float64)
    for y in range(height):
        _correlate(sums, rows, (y + radius) * count, count, weights)
        for j in range(count):
            middle[j] = np.float32(np.int32(sums[j]))
        _fill_margins(line, margin, channels)
        _correlate(sums, line, margin, channels, weights)
        result = results[y]
        for j in range(count):
            result[j] = np.int32(sums[j])
