"""Scores of a batch with images that the memory or the network has no room for."""

from __future__ import annotations

from collections.abc import Callable

import torch

from genspot.common.errors import GenspotError

# What PyTorch's allocator, oneDNN and C++ say on a CPU; each of them raises a RuntimeError.
REFUSALS = (
    *("allocate memory", "out of memory", "bad_alloc", "could not create a primitive"),
    *("could not execute a primitive", "could not create a memory"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that there is not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSALS)


def score_within_memory(
    forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor
) -> tuple[torch.Tensor, dict[int, str]]:
    """Return the logits of the images that the memory has room for, and the others.

    Images are scored one by one only if it has no room for all of them together.

    Args:
        forward: images to logits, float32 of shape N.
        images: `uint8`, N×H×W×3.

    Returns:
        The logits, in the order of the images, and index → reason of those that have none.
    """
    logits, reason = _try(forward, images)
    if logits is not None:
        return logits, {}
    if len(images) == 1:
        return torch.empty(0), {0: reason}
    scored, failed = [torch.empty(0)], {}
    for index, image in enumerate(torch.split(images, 1)):
        logits, reason = _try(forward, image)
        if logits is None:
            failed[index] = reason
        else:
            scored.append(logits.cpu())
    return torch.cat(scored), failed


def _try(
    forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor
) -> tuple[torch.Tensor | None, str]:
    """Return the logits, or None and the reason; what was allocated is free again then."""
    try:
        return forward(images), ""
    except GenspotError:
        raise
    except Exception as error:  # the backbone's own code can raise anything
        words = " ".join(f"{error or type(error).__name__}".split())[:200]
        height, width = images.shape[1:3]
        if not is_out_of_memory(error):
            if len(images) > 1:
                raise
            # A whole image of a size that the network does not take, such as a tiny one.
            return None, f"the network fails on {width} × {height} pixels ({words}); try crop=N"
    if images.device.type == "cuda":
        torch.cuda.empty_cache()
    reason = f"{width} × {height} pixels need more memory than there is ({words}); crop=N scores"
    return None, f"{reason} their centre"
