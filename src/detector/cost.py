"""What a network costs: parameters, operations, images a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from genspot.detector.memory import is_out_of_memory
from genspot.detector.network import CPU_EVAL_CHUNK, DetectorNetwork, fuse_batchnorm

GPU_BATCH = 64
ROUNDS = 3  # of the timing, of which the median counts
MIN_SECONDS, MAX_SECONDS = 0.1, 2.0  # of all rounds: short ones are repeated, long ones are not


def measure_cost(
    network: DetectorNetwork, height: int, width: int, device: torch.device
) -> dict[str, Any]:
    """Return what scoring an image of a size costs; see `genspot.evaluation.results.NetworkCost`.

    GFLOP count a multiplication with its addition once, of convolutions and matrix products alone;
    an FFT or a median is not counted. A published count may have batch norms in it, which are a
    part of the convolutions in evaluation: the 2.29 GFLOP of a two-stage ResNet-50 at 256 × 256
    pixels are 2.24 here.

    The speed is that of the network alone, without the reading of images: black ones, in batches
    of 8 on a CPU and of 64 elsewhere.

    Args:
        network: with any weights; it is put into evaluation mode and may be moved to `device`.
        height: of the images, in pixels.
        width: the same.
        device: of the speed.

    Returns:
        `gflop` and `images_per_second` are None where the memory has no room for the images.
    """
    parameters = sum(value.numel() for value in network.parameters())
    fused = fuse_batchnorm(network).to(device)
    batch = CPU_EVAL_CHUNK if device.type == "cpu" else GPU_BATCH
    images = torch.zeros(batch, height, width, 3, dtype=torch.uint8, device=device)
    with torch.inference_mode():
        return {
            "parameters": parameters,
            "gflop": _within_memory(_count_gflop, fused, images[:1]),
            "images_per_second": _within_memory(_measure_speed, fused, images),
            "device": device.type,
            "height": height,
            "width": width,
        }


def _within_memory(
    measure: Callable[[DetectorNetwork, torch.Tensor], float],
    network: DetectorNetwork,
    images: torch.Tensor,
) -> float | None:
    try:
        return measure(network, images)
    except Exception as error:  # the backbone's own code can raise anything
        if is_out_of_memory(error):
            return None
        raise


def _count_gflop(network: DetectorNetwork, images: torch.Tensor) -> float:
    """Return the GFLOP of one of `images`."""
    # PyTorch does not count the attention of a CPU's fast kernels.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops() / len(images) / 2e9  # two of PyTorch's are one here


def _measure_speed(network: DetectorNetwork, images: torch.Tensor) -> float:
    """Return how many images a second are scored."""
    seconds: list[float] = []
    network(images).sum().item()  # the first time, memory is allocated and kernels are chosen
    while sum(seconds) < MIN_SECONDS or (len(seconds) < ROUNDS and sum(seconds) < MAX_SECONDS):
        start = time.perf_counter()
        network(images).sum().item()  # a device is waited for
        seconds.append(time.perf_counter() - start)
    return len(images) / statistics.median(seconds)
