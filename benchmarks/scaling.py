"""The cost of a data set of 10⁴ to 10⁶ images, without that of the images themselves.

    make bench-scale

For each size, a new process measures the time to list empty files in the released layout, the
private memory that the table of samples adds, and the time to look up an image and to draw the
order of an epoch. Then 8 workers read an epoch of 720,000 entries (of 500 small files), with paths
in the table and, for comparison, in Python lists: their private memory after the first batches and
at the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks.timing import print_table
from genspot.common.geometry import Geometry
from genspot.data.dataset import ImageDataset, Sample
from genspot.data.label_folders import LABELS
from genspot.data.layout import sample_table
from genspot.data.loaders import loader_options
from genspot.data.places import load_samples
from genspot.data.samplers import ResumableShuffleSampler, SampleIndex

CLASSES = [f"class_{number:02d}" for number in range(20)]
PUBLISHED = 720_000  # images of the published training set
FILES = 500
LOOKUPS = 20_000
CROP = Geometry(crop=32)


def private_memory(process: int | str = "self") -> float:
    """Return the MB that belong to this process alone."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def make_files(root: Path, images: int) -> None:
    """Make `images` empty files, over all classes and labels."""
    for name in CLASSES:
        for label in LABELS:
            folder = root / name / label
            folder.mkdir(parents=True)
            for number in range(images // (len(CLASSES) * len(LABELS))):
                (folder / f"{number:06d}.png").touch()


def measure_table(root: str) -> list[str]:
    """Return the figures of one size, measured in this process."""
    gc.collect()
    before, start = private_memory(), time.perf_counter()
    dataset = ImageDataset(load_samples(root, "progan", CLASSES).table, train=True)
    opened = time.perf_counter()
    memory = private_memory() - before
    rng = random.Random(0)
    rows = [rng.randrange(len(dataset)) for _ in range(LOOKUPS)]
    found = time.perf_counter()
    for row in rows:
        dataset.paths[row].as_py(), int(dataset.labels[row])
    lookup = (time.perf_counter() - found) / LOOKUPS
    drawn = time.perf_counter()
    next(iter(ResumableShuffleSampler(len(dataset), seed=0)))
    order = time.perf_counter() - drawn
    times = f"{(opened - start) * 1e3:.0f} ms", f"{lookup * 1e6:.1f} µs", f"{order * 1e3:.0f} ms"
    return [f"{len(dataset):,}", f"{memory:.1f} MB", *times]


class ListDataset(ImageDataset):
    """Paths and labels as Python objects, whose reference counts make workers copy them."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = list(zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True))
        super().__init__(table.slice(0, FILES), geometry=CROP, train=True)

    def __getitem__(self, index: SampleIndex) -> Sample:
        epoch, row = index
        path, _ = self.rows[row]
        assert path
        return super().__getitem__((epoch, row % FILES))


def measure_workers(files: str, lists: bool, entries: int, workers: int) -> list[str]:
    """Return the private memory of the workers: after the first batches, and after an epoch."""
    paths = [f"{files}/{number}.png" for number in range(FILES)]
    table = sample_table((paths[row % FILES], "progan", "cat", row % 2) for row in range(entries))
    loader = DataLoader(
        ListDataset(table) if lists else ImageDataset(table, geometry=CROP, train=True),
        256,
        sampler=ResumableShuffleSampler(entries, seed=0),
        **loader_options(workers),
    )
    batches = iter(loader)
    for _ in range(2 * workers):
        next(batches)
    readers = [process.pid or 0 for process in multiprocessing.active_children()]
    first = [private_memory(pid) for pid in readers]
    for _ in tqdm(batches, total=len(loader) - 2 * workers, desc="an epoch", unit="batch"):
        pass
    last = [private_memory(pid) for pid in readers]
    return [f"{value:.0f} MB" for value in (np.mean(first), np.mean(last), max(last))]


def in_new_process(*arguments: object) -> list[str]:
    """Return what `measure_table` or `measure_workers` returns in a new process."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--measure", json.dumps(arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
    figures: list[str] = json.loads(printed.stdout)
    return figures


def print_sizes(scratch: Path, sizes: list[int]) -> None:
    rows = []
    for size in tqdm(sizes, desc="sizes"):
        root = scratch / f"{size}"
        make_files(root, size)
        in_new_process("table", str(root))  # so that all sizes are in the page cache
        rows.append(in_new_process("table", str(root)))
    columns = ("images", "private memory", "list them", "find an image", "draw an order")
    print_table("a run on a data set", columns, rows)


def print_memory(scratch: Path, entries: int, workers: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(FILES):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(scratch / f"{number}.png")
    rows = []
    for name, lists in (("the table", False), ("Python lists", True)):
        rows.append((name, *in_new_process("workers", str(scratch), lists, entries, workers)))
    print_table(
        f"private memory of a worker ({workers} of them), {entries:,} images",
        ("paths in", "first batches", "end of the epoch", "the largest"),
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e4, 1e5, PUBLISHED])
    parser.add_argument("--epoch", type=int, default=PUBLISHED, help="entries of the read epoch")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*worker processes in total.*")
    if options.measure:
        kind, *arguments = options.measure
        measure = {"table": measure_table, "workers": measure_workers}[kind]
        print(json.dumps(measure(*arguments)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        print_sizes(Path(temporary), [int(size) for size in options.sizes])
        print_memory(Path(temporary), options.epoch, options.workers)


if __name__ == "__main__":
    main()
