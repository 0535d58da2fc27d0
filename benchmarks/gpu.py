"""Whether the input keeps a CUDA device busy: ResNet-50 in bfloat16, channels last, fused Adam.

    make bench-gpu

Prints the device's measured rate of matrix products, and the images a second of training on a
batch that stays on the device and on batches from the loader, for growing numbers of workers, with
and without torch.compile. The loader is fast enough where it reaches 0.95 of the cached batch.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pipeline import training_images, write_photographs
from benchmarks.step import make_detector, random_batch, training_step
from benchmarks.timing import print_table
from genspot.data.loaders import ResumableDataLoader, loader_options
from genspot.data.packed.reader import open_packed
from genspot.data.packed.writer import pack
from genspot.data.samplers import ResumableShuffleSampler
from genspot.detector.module import Batch, Detector

READ_AHEAD = 2  # batches per worker: PyTorch's default
WARM_UP = 5  # steps that are not timed: cuDNN and the compiler choose their kernels


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: str, side: int, repeats: int = 20) -> float:
    """Return the FLOP/s of a bfloat16 product of `side` × `side` matrices."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(repeats + WARM_UP):
        synchronize(device)
        start = time.perf_counter()
        a @ b
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(seconds[WARM_UP:])


def flops_per_image(detector: Detector, images: torch.Tensor) -> float:
    """Return the floating-point operations of a training step, per image."""
    with FlopCounterMode(display=False) as counter:
        detector(images[:2]).sum().backward()
    detector.zero_grad()
    return counter.get_total_flops() / 2


def to_device(batch: Batch, device: str) -> Batch:
    return {
        name: value.to(device, non_blocking=True) if torch.is_tensor(value) else value
        for name, value in batch.items()
    }


def training_rate(
    step: Callable[[Batch], None],
    batches: Iterator[Batch],
    steps: int,
    device: str,
    skipped: int = 0,
) -> float:
    """Return the images a second of `steps` steps, after the warm-up and `skipped` more."""
    for batch in itertools.islice(batches, WARM_UP + skipped):
        step(batch)
    synchronize(device)
    start, images = time.perf_counter(), 0
    for batch in itertools.islice(batches, steps):
        step(batch)
        images += len(batch["label"])
    synchronize(device)
    return images / (time.perf_counter() - start)


def make_loader(
    table: pa.Table,
    read: Callable[[int], np.ndarray] | None,
    batch_size: int,
    workers: int,
    steps: int,
) -> ResumableDataLoader:
    """Return the training loader of `aug=blur_jpg_0.5`.

    The images are repeated, so that its epoch has enough batches for `steps` steps.
    """
    images = table.num_rows
    repeats = -(-(steps + WARM_UP + READ_AHEAD * workers) * batch_size // images)
    repeated = read and (lambda row: read(row % images))
    dataset = training_images(pa.concat_tables([table] * repeats), repeated)
    return ResumableDataLoader(
        dataset,
        batch_size,
        sampler=ResumableShuffleSampler(len(dataset), seed=0),
        drop_last=True,
        **loader_options(workers),
    )


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Measure and print."""
    device, batch_size, steps = options.device, options.batch, options.steps
    peak = matrix_rate(device, options.side)
    listing, packed = open_packed(folder, "bench", None)
    table = listing.table
    cached = to_device(random_batch(batch_size), device)
    rows = []
    for compiled in (False, True):
        detector, optimizer = make_detector(channels_last=True, fused=True)
        detector.to(device)
        work = flops_per_image(detector, cached["image"])
        if compiled:
            detector.network.backbone.compile()

        def step(batch: Batch, detector: Detector = detector, adam: object = optimizer) -> None:
            training_step(detector, adam, to_device(batch, device), bf16=True)  # type: ignore[arg-type]

        best = training_rate(step, itertools.repeat(cached), steps, device)
        rates = [("cached", 0, best)]
        for source, read in (("PNG", None), ("packed", packed)):
            for workers in options.workers:
                batches = iter(make_loader(table, read, batch_size, workers, steps))
                rate = training_rate(step, batches, steps, device, READ_AHEAD * workers)
                rates.append((source, workers, rate))
        rows += [
            (str(compiled), source, str(workers), f"{rate:.0f}", f"{rate / best:.2f}")
            + (f"{rate * work / peak:.2f}",)
            for source, workers, rate in rates
        ]
    name = torch.cuda.get_device_name() if device == "cuda" else "the CPU"
    print_table(
        f"training ResNet-50, bfloat16, batch {batch_size}, on {name}",
        ("compiled", "source", "workers", "images/s", "of the cached batch", "of peak"),
        rows,
    )
    print(f"peak: {peak / 1e12:.1f} TFLOP/s, bfloat16 product of {options.side}² matrices")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cpu only tries the program")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, nargs="+", default=[cores // 4, cores // 2, cores])
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench-gpu: no CUDA device here; --device cpu only tries the program")
    warnings.filterwarnings("ignore", ".*self.log.*")  # there is no trainer to log to
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "photos")
        write_photographs(folder, options.images)
        pack(folder, "bench", None)
        compare(folder, options)


if __name__ == "__main__":
    main()
