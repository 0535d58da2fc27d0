"""Statistics of colour and sharpness of decoded images."""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft

HIGH_FREQUENCY = 0.25  # cycles per pixel, from which on frequencies count as high
# Added to energies, which are in squares of 8-bit steps, so that a uniform image has a logarithm.
FLOOR = 1e-3


def colour_statistics(image: np.ndarray) -> dict[str, float]:
    """Return the columns of PROBE_SCHEMA that describe the colours.

    Args:
        image: uint8, H×W×3.
    """
    means, stds = (values.ravel() for values in cv2.meanStdDev(image))
    chroma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32) - 128
    colours = ("red", "green", "blue")
    return {
        **{f"{name}_mean": float(mean) for name, mean in zip(colours, means, strict=True)},
        **{f"{name}_std": float(std) for name, std in zip(colours, stds, strict=True)},
        "saturation": float(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].mean()) / 255,
        "chroma": float(np.percentile(np.hypot(chroma[..., 0], chroma[..., 1]), 99)),
        "dark_share": float((image == 0).mean()),
        "bright_share": float((image == 255).mean()),
    }


def sharpness_statistics(grey: np.ndarray) -> dict[str, float]:
    """Return the columns of PROBE_SCHEMA that describe the sharpness.

    All are logarithms of energies relative to the contrast, so that a copy of half the contrast
    has the same values. A high frequency has at least `HIGH_FREQUENCY` along one axis of the
    image's DCT, which, other than the Fourier transform, sees no edge at the image's border.

    Args:
        grey: float32, H×W, 0 to 255.
    """
    variance = float(grey.var())
    gradient = sum(
        float(np.square(np.diff(grey, axis=axis)).mean())
        for axis in (0, 1)
        if grey.shape[axis] > 1
    )
    laplacian = float(np.square(cv2.Laplacian(grey, cv2.CV_32F)).mean())
    energy = np.square(scipy.fft.dctn(grey, norm="ortho"))
    energy[0, 0] = 0
    rows, columns = (int(np.ceil(2 * HIGH_FREQUENCY * side)) for side in grey.shape)
    low = float(energy[:rows, :columns].sum())
    high = float(energy.sum()) - low
    return {
        "gradient": _relative(gradient, variance),
        "laplacian": _relative(laplacian, variance),
        "high_frequency": _relative(max(0.0, high) / grey.size, variance),
    }


def _relative(energy: float, variance: float) -> float:
    """Return the logarithm of `energy` / `variance`."""
    return float(np.log10((energy + FLOOR) / (variance + FLOOR)))
