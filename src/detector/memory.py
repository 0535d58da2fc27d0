"""Scores of a batch with images that the memory or the network has no room for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from genspot.common.errors import GenspotError

# What PyTorch's allocators, oneDNN, ONNX Runtime and C++ say; each raises a RuntimeError.
REFUSALS = (
    *("allocate memory", "out of memory", "bad_alloc", "could not create a primitive"),
    *("could not execute a primitive", "could not create a memory"),
)


class NetworkError(GenspotError, RuntimeError):
    """A network that is not PyTorch's fails on images.

    Attributes:
        reason: its own words, without the file and the size of the images.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that there is not enough memory."""
    torch = sys.modules.get("torch")  # an exported detector does without it
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSALS)


def score_within_memory(
    forward: Callable[[Any], Any], images: Any
) -> tuple[list[float], dict[int, str]]:
    """Return the logits of the images that the memory has room for, and the others.

    Images are scored one by one only if it has no room for all of them together.

    Args:
        forward: images to logits, float32 of shape N, both tensors or both arrays.
        images: `uint8`, N×H×W×3.

    Returns:
        The logits, in the order of the images, and index → reason of those that have none.
    """
    logits, reason = _try(forward, images)
    if logits is not None:
        return logits, {}
    if len(images) == 1:
        return [], {0: reason}
    scored: list[float] = []
    failed: dict[int, str] = {}
    for index in range(len(images)):
        logits, reason = _try(forward, images[index : index + 1])
        if logits is None:
            failed[index] = reason
        else:
            scored += logits
    return scored, failed


def _try(forward: Callable[[Any], Any], images: Any) -> tuple[list[float] | None, str]:
    """Return the logits, or None and the reason; what was allocated is free again then."""
    try:
        logits: list[float] = forward(images).tolist()
        return logits, ""
    except Exception as error:  # the backbone's own code can raise anything
        if isinstance(error, GenspotError) and not isinstance(error, NetworkError):
            raise
        text = getattr(error, "reason", str(error)) or type(error).__name__
        words = " ".join(text.split())[:200]
        height, width = images.shape[1:3]
        if not is_out_of_memory(error):
            if len(images) > 1:
                raise
            # A whole image of a size that the network does not take, such as a tiny one.
            return None, f"the network fails on {width} × {height} pixels ({words}); try crop=N"
    _free(images)
    reason = f"{width} × {height} pixels need more memory than there is ({words}); crop=N scores"
    return None, f"{reason} their centre"


def _free(images: Any) -> None:
    """Return what PyTorch keeps of a GPU's memory, where the images lie there."""
    if not isinstance(images, np.ndarray) and images.is_cuda:
        import torch

        torch.cuda.empty_cache()
