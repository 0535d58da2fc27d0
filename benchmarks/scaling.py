"""The cost of an indexed data set of 10⁴ to 10⁷ images, without that of the images themselves.

    make bench-scale

The entries of the index are synthetic, its folders are real. For each size, a new process measures
the time to open the index (as a run does, checks included), the private memory that this adds,
and the time to look up an image and to draw the order of an epoch. Then 8 workers read an epoch of
720,000 entries (of 500 small files), with paths in the index and, for comparison, in Python lists:
their private memory after the first batches and at the end.
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
from genspot.data.index import FolderEntry, cache_file, cache_folders, load_samples, write_entry
from genspot.data.layout import LABELS, label_folders
from genspot.data.loaders import loader_options
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


def write_index(root: Path, entries: int, files: list[str] | None = None) -> Path:
    """Write the index of a data set of `entries` images, of which only the folders exist.

    Args:
        root: folder of the data set.
        entries: images, over all classes and labels.
        files: paths to repeat; None: paths of files that do not exist.

    Returns:
        The folder of the index.
    """
    images = entries // (len(CLASSES) * len(LABELS))
    for name in CLASSES:
        for label in LABELS:
            (root / name / label).mkdir(parents=True)
    cache = cache_folders(str(root))[0]
    for folder in label_folders(root, "progan", CLASSES):
        paths = [f"{folder.path}/{number:06d}.png" for number in range(images)]
        if files:
            paths = [files[number % len(files)] for number in range(images)]
        os.utime(folder.path, ns=(1, 1))  # unchanged for long, so that the entry is current
        chunks = pa.chunked_array([paths], pa.large_string())
        entry = FolderEntry(mtime_ns=1, listed_ns=time.time_ns(), paths=chunks)
        write_entry(cache_file(cache, str(root), folder), folder.path, entry)
    return cache


def measure_index(root: str) -> list[str]:
    """Return the figures of one size, measured in this process."""
    gc.collect()
    before, start = private_memory(), time.perf_counter()
    dataset = ImageDataset(load_samples(root, "progan", CLASSES), train=True)
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


def measure_workers(root: str, lists: bool, entries: int, workers: int) -> list[str]:
    """Return the private memory of the workers: after the first batches, and after an epoch."""
    table = load_samples(root, "progan", CLASSES)
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
    """Return what `measure_index` or `measure_workers` returns in a new process."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--measure", json.dumps(arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
    figures: list[str] = json.loads(printed.stdout)
    return figures


def print_sizes(scratch: Path, sizes: list[int]) -> None:
    rows = []
    for size in tqdm(sizes, desc="sizes"):
        root = scratch / f"{size}"
        files = write_index(root, size).rglob("*.arrow")
        in_new_process("index", str(root))  # so that all sizes are in the page cache
        figures = in_new_process("index", str(root))
        rows.append((*figures, f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"))
    columns = ("images", "private memory", "open it", "find an image", "draw an order", "index")
    print_table("a run on an indexed data set", columns, rows)


def print_memory(scratch: Path, entries: int, workers: int) -> None:
    rng = np.random.default_rng(0)
    files = [str(scratch / f"{number}.png") for number in range(FILES)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
    root = scratch / "epoch"
    write_index(root, entries, files)
    rows = []
    for name, lists in (("the index", False), ("Python lists", True)):
        rows.append((name, *in_new_process("workers", str(root), lists, entries, workers)))
    print_table(
        f"private memory of a worker ({workers} of them), {entries:,} images",
        ("paths in", "first batches", "end of the epoch", "the largest"),
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e4, 1e5, PUBLISHED, 1e6, 1e7])
    parser.add_argument("--epoch", type=int, default=PUBLISHED, help="entries of the read epoch")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*worker processes in total.*")
    if options.measure:
        kind, *arguments = options.measure
        measure = {"index": measure_index, "workers": measure_workers}[kind]
        print(json.dumps(measure(*arguments)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        print_sizes(Path(temporary), [int(size) for size in options.sizes])
        print_memory(Path(temporary), options.epoch, options.workers)


if __name__ == "__main__":
    main()
