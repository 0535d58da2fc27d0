"""SciPy's truncating Gaussian blur, compiled by numba to one pass over an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


def gaussian_weights(sigma: float) -> np.ndarray:
    """Return the float64 kernel from its centre outwards (radius + 1), computed as in SciPy."""
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    return np.ascontiguousarray((kernel / kernel.sum())[radius:])


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


@njit("void(float32[:,::1], uint8[:,:,::1], float64[::1])", error_model="numpy", cache=True)
def truncating_blur(padded: Any, blurred: Any, weights: Any) -> None:
    """Blur along columns, then rows, truncating after each axis.

    Each row goes through both axes while it is in the cache. The column pass includes the left
    and right margins, so that the truncated rows have their margins too.

    Args:
        padded: the image as (H + 2 radius) × (W + 2 radius)·C values, with reflected margins.
        blurred: H×W×C, the result.
        weights: see `gaussian_weights`.
    """
    height, width, channels = blurred.shape
    radius, count = len(weights) - 1, padded.shape[1]
    values, results = padded.reshape(padded.size), blurred.reshape(height, width * channels)
    row, sums = np.empty(count, np.float32), np.empty(count, np.float64)
    for y in range(height):
        _correlate(sums, values, (y + radius) * count, count, weights)
        for j in range(count):
            row[j] = np.float32(np.int32(sums[j]))
        _correlate(sums[: width * channels], row, radius * channels, channels, weights)
        for j in range(width * channels):
            results[y, j] = np.int32(sums[j])
