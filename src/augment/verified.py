"""A fast way that must equal a slow one to the bit, or is not taken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

Filter = Callable[..., np.ndarray]


def proven(fast: Filter, slow: Filter, probes: Iterable[tuple[Any, ...]], what: str) -> Filter:
    """`fast` if it equals `slow` on all `probes` in this build; else `slow`, with one warning.

    Args:
        fast, slow: functions of the same arguments that return arrays.
        probes: arguments to try.
        what: `fast` and `slow` are ways of, in words, for the warning.
    """
    try:
        if all(np.array_equal(fast(*probe), slow(*probe)) for probe in probes):
            return fast
        reason = "gives other bits"
    except Exception as error:  # a library built for another machine can fail in any way
        reason = f"fails ({type(error).__name__}: {' '.join(str(error).split())})"
    log.warning("the fast %s %s in this build: taking the slow one, same results", what, reason)
    return slow


def probe_images() -> list[np.ndarray]:
    """Small images that differ in shape and contrast: noise, a gradient, black beside white."""
    draws = np.random.default_rng(0)
    noise = [
        draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for height, width in ((40, 33), (5, 61), (1, 1))
    ]
    gradient = np.linspace(0, 255, 48 * 40 * 3).astype(np.uint8).reshape(48, 40, 3)
    edge = np.zeros((24, 24, 3), np.uint8)
    edge[:, 12:] = 255
    return [*noise, gradient, edge]
