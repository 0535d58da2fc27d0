"""Fast implementations that are used only where they equal a reference to the bit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

ImageFunction = Callable[..., np.ndarray]


def verified_or_fallback(
    fast: ImageFunction, reference: ImageFunction, samples: Iterable[tuple[Any, ...]], name: str
) -> ImageFunction:
    """Return `fast` if it equals `reference` on all `samples`; else log a warning and `reference`.

    Args:
        fast: function of the same arguments as `reference`.
        reference: function that returns an array.
        samples: tuples of arguments.
        name: what both functions compute, for the warning.
    """
    try:
        if all(np.array_equal(fast(*sample), reference(*sample)) for sample in samples):
            return fast
        reason = "gives different bits"
    except Exception as error:  # a library built for another machine can fail in any way
        reason = f"fails ({type(error).__name__}: {' '.join(str(error).split())})"
    log.warning("the fast %s %s on this machine: using the slower equivalent", name, reason)
    return reference


def sample_images() -> list[np.ndarray]:
    """Return small `uint8` H×W×3 images of several shapes: noise, a gradient, a sharp edge."""
    rng = np.random.default_rng(0)
    shapes = ((40, 33, 3), (5, 61, 3), (1, 1, 3))
    noise = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    gradient = np.linspace(0, 255, 48 * 40 * 3).astype(np.uint8).reshape(48, 40, 3)
    edge = np.zeros((24, 24, 3), np.uint8)
    edge[:, 12:] = 255
    return [*noise, gradient, edge]
