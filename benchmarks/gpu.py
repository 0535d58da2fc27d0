"""Does the input keep a CUDA device busy? ResNet-50 in bfloat16, channels last, fused Adam.

    make bench-gpu

Prints the device's measured matrix rate, the images a second of a training step on a batch that
stays on the device and on batches that the loader feeds, for growing numbers of reading
processes, with and without torch.compile. The loader is fast enough where the ratio is 0.95.
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

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import pyarrow as pa
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pipeline import dataset, photographs
from benchmarks.step import batch, detector
from genspot.data.dataset import collate
from genspot.data.datamodule import one_thread
from genspot.data.packed.writer import pack
from genspot.data.samplers import ShuffledShare
from genspot.data.packed.reader import open_store
from genspot.detector.module import Batch, Detector

AHEAD = 2  # batches that each reading process may be ahead
WARM_UP = 5  # steps that are not timed: cuDNN and the compiler choose their kernels


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: str, side: int, repeats: int = 20) -> float:
    """Floating-point operations a second of a bfloat16 product of `side` × `side` matrices."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(repeats + WARM_UP):
        synchronize(device)
        start = time.perf_counter()
        a @ b
        synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(times[WARM_UP:])


def operations(model: Detector, images: torch.Tensor) -> float:
    """Floating-point operations of a training step, an image."""
    with FlopCounterMode(display=False) as counter:
        model(images[:2]).sum().backward()
    model.zero_grad()
    return counter.get_total_flops() / 2


def stepper(device: str, compiled: bool) -> tuple[Detector, Callable[[Batch], None]]:
    """A detector and its training step, as `trainer=gpu` takes it."""
    model, optimizer = detector(channels_last=True, fused=True)
    model = model.to(device)
    if compiled:
        model.network.compile()

    def step(given: Batch) -> None:
        moved = {
            name: value.to(device, non_blocking=True) if torch.is_tensor(value) else value
            for name, value in given.items()
        }
        with torch.autocast(device, torch.bfloat16):
            loss = model.training_step(moved, 0)
        assert loss is not None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model, step


def rate(
    step: Callable[[Batch], None],
    batches: Iterator[Batch],
    steps: int,
    device: str,
    ahead: int = 0,
) -> float:
    """Images a second over `steps` steps, once `ahead` batches read in advance are used up."""
    for given in itertools.islice(batches, WARM_UP + ahead):
        step(given)
    synchronize(device)
    start, images = time.perf_counter(), 0
    for given in itertools.islice(batches, steps):
        step(given)
        images += len(given["label"])
    synchronize(device)
    return images / (time.perf_counter() - start)


def loader(table: pa.Table, read: object, size: int, workers: int, steps: int) -> DataLoader:
    """As data=… aug=blur_jpg_0.5 feeds it, over as many rows as the steps need."""
    repeats = -(-(steps + WARM_UP + AHEAD * workers) * size // table.num_rows)
    rows = dataset(table, exact=True, read=read)
    sampler = [draw for epoch in range(repeats) for draw in _epoch(table.num_rows, epoch)]
    return DataLoader(
        rows,
        size,
        sampler=sampler,
        drop_last=True,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=one_thread,
    )


def _epoch(rows: int, epoch: int) -> Iterator[tuple[int, int]]:
    sampler = ShuffledShare(rows, seed=0)
    sampler.set_epoch(epoch)
    return iter(sampler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cpu only to try the program itself")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=8192, help="of the matrices")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, nargs="+", default=[cores // 4, cores // 2, cores])
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench-gpu: no CUDA device here; --device cpu only tries the program")
    warnings.filterwarnings("ignore", ".*self.log.*")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        photographs(folder, options.images)
        pack(folder, "bench", None)
        compare(folder, options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Print the table."""
    device, size, steps = options.device, options.batch, options.steps
    peak = matrix_rate(device, options.side)
    table, packed = open_store(folder, "bench", None)
    shown = Table(title=f"training ResNet-50, bfloat16, batch {size}, on {_name(device)}")
    for column in ("compiled", "fed by", "workers", "images/s", "of the cached step", "of peak"):
        shown.add_column(column, justify="right")
    for compiled in (False, True):
        model, step = stepper(device, compiled)
        cached = {
            name: value.to(device) if torch.is_tensor(value) else value
            for name, value in batch(size).items()
        }
        work = operations(stepper(device, False)[0], cached["image"])
        best = rate(step, itertools.repeat(cached), steps, device)
        shown.add_row(
            str(compiled), "cached", "0", f"{best:.0f}", "1.00", f"{best * work / peak:.2f}"
        )
        for source, read in (("PNG", None), ("store", packed)):
            for workers in options.workers:
                fed = iter(loader(table, read, size, workers, steps))
                own = rate(step, fed, steps, device, AHEAD * workers)
                cells = f"{own:.0f}", f"{own / best:.2f}", f"{own * work / peak:.2f}"
                shown.add_row(str(compiled), source, str(workers), *cells)
        del model
    Console().print(shown)
    print(f"peak: {peak / 1e12:.1f} TFLOP/s, bfloat16 product of {options.side}² matrices")


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "the CPU"


if __name__ == "__main__":
    main()
