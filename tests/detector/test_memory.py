"""Images for which there is not enough memory."""

from __future__ import annotations

import pytest
import torch

from genspot.detector.memory import is_out_of_memory, score_within_memory

REFUSED = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 256000000 bytes"


def forward(images: torch.Tensor) -> torch.Tensor:
    """Return the means; refuse several images at once, and any with a 0 in it."""
    if len(images) > 1 or (images == 0).any():
        raise RuntimeError(REFUSED)
    return images.float().mean(dim=(1, 2, 3))


def test_images_are_scored_one_by_one_where_a_batch_needs_too_much() -> None:
    images = torch.arange(4, dtype=torch.uint8).repeat_interleave(6).reshape(4, 1, 2, 3)
    logits, failed = score_within_memory(forward, images)
    assert logits == [1.0, 2.0, 3.0]
    assert list(failed) == [0]
    assert "2 × 1 pixels need more memory than there is" in failed[0]
    assert "crop=N" in failed[0]
    logits, failed = score_within_memory(forward, images[:1])
    assert (logits, list(failed)) == ([], [0])


def test_batch_that_fits_is_scored_as_one() -> None:
    sizes = []
    logits, failed = score_within_memory(
        lambda images: sizes.append(len(images)) or torch.ones(len(images)),
        torch.ones(3, 2, 2, 3),
    )
    assert (sizes, logits, failed) == ([3], [1.0, 1.0, 1.0], {})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), True),
        (RuntimeError(REFUSED), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_is_out_of_memory_knows_the_errors_of_allocators(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_single_image_that_the_network_does_not_take_is_named() -> None:
    pool = torch.nn.AvgPool2d(4)
    logits, failed = score_within_memory(lambda images: pool(images), torch.ones(1, 3, 2, 3))
    assert logits == []
    assert "the network fails on 2 × 3 pixels" in failed[0]
    assert "crop=N" in failed[0]


def test_other_errors_of_the_network_are_not_hidden() -> None:
    def fail(images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("Input type (unsigned char) and bias type (float) should be the same")

    with pytest.raises(RuntimeError, match="bias type"):
        score_within_memory(fail, torch.ones(2, 2, 2, 3))
