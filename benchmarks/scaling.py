"""What a run costs at 10⁴ to 10⁷ images, before and beside the images themselves.

    make bench-scale

The entries of the index are synthetic, its folders are real. Each size is measured in a process
of its own: how long it takes to open the index (as a run does, checks included), what that adds
to the private memory, and what finding an image and drawing an epoch's order cost a sample. Then
8 processes read an epoch of 720,000 entries (of 500 small files) from the index, and, for
comparison, from Python lists of as many paths: their private memory after a first batch each and
at the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import numpy as np
import pyarrow as pa
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from genspot.data.dataset import ImageDataset, Sample, collate
from genspot.data.layout import LABELS
from genspot.data.index import INDEX, Index, Section, open_index, places, write_index
from genspot.data.datamodule import one_thread
from genspot.data.samplers import ShuffledShare

CLASSES = [f"class_{number:02d}" for number in range(20)]
PUBLISHED = 720_000  # images of the published training set
FILES = 500
LOOKUPS = 20_000


def private_memory(process: int | str = "self") -> float:
    """MB that belong to the process alone."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def synthetic(root: Path, entries: int, files: list[str] | None = None) -> None:
    """An index of `entries` rows beside `root`, whose folders exist; of `files`, over and over."""
    sections, tables = [], []
    rows = entries // (len(CLASSES) * len(LABELS))
    for name in CLASSES:
        for half, label in LABELS.items():
            folder = root / name / half
            folder.mkdir(parents=True)
            os.utime(folder, ns=(1, 1))
            paths = [files[row % FILES] for row in range(rows)] if files else None
            tables.append(
                _rows(paths or [f"{folder}/{row:06d}.png" for row in range(rows)], name, label)
            )
            sections.append(Section(f"{name}/{half}", 1, time.time_ns(), rows))
    write_index(places(str(root))[0], Index(str(root), sections, pa.concat_tables(tables)))


def _rows(paths: list[str], name: str, label: int) -> pa.Table:
    count = len(paths)
    columns: list[Any] = [paths, ["progan"] * count, [name] * count, np.full(count, label)]
    columns += [np.full(count, 256), np.full(count, 256), ["PNG"] * count]
    arrays = [pa.array(one, field.type) for one, field in zip(columns, INDEX, strict=True)]
    return pa.Table.from_arrays(arrays, schema=INDEX)


def one_size(root: str) -> dict[str, float]:
    """The figures of one size, measured in this process."""
    gc.collect()
    before, start = private_memory(), time.perf_counter()
    table = open_index(root, "progan", CLASSES).samples("progan")
    dataset = ImageDataset(table, crop=224, train=True)
    opened = time.perf_counter() - start
    memory = private_memory() - before
    draws = random.Random(0)
    chosen = [draws.randrange(len(dataset)) for _ in range(LOOKUPS)]
    start = time.perf_counter()
    for row in chosen:
        dataset.paths[row].as_py(), int(dataset.labels[row])
    lookup = (time.perf_counter() - start) / LOOKUPS
    start = time.perf_counter()
    order = iter(ShuffledShare(len(dataset), seed=0))
    next(order)
    return {
        "entries": len(dataset),
        "open_s": opened,
        "memory_mb": memory,
        "lookup_us": lookup * 1e6,
        "order_s": time.perf_counter() - start,
    }


class Listed(Dataset[Sample]):
    """The known trap: paths and labels as Python objects, which reference counts copy."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = list(zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True))
        self.inner = ImageDataset(table.slice(0, FILES), crop=32, train=True)

    def __getitem__(self, draw: tuple[int, int]) -> Sample:
        path, _ = self.rows[draw[1]]
        assert path
        return self.inner[draw[0], draw[1] % FILES]


def epoch_of_workers(root: str, listed: bool, entries: int, workers: int) -> dict[str, float]:
    """Private memory of the reading processes at the start and at the end of an epoch."""
    table = open_index(root, "progan", CLASSES).samples("progan")
    inner = Listed(table) if listed else ImageDataset(table, crop=32, train=True)
    loader = DataLoader(
        inner,
        256,
        sampler=ShuffledShare(entries, seed=0),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=one_thread,
        persistent_workers=True,
    )
    batches = iter(loader)
    for _ in range(2 * workers):
        next(batches)
    readers = [reader.pid for reader in batches._workers]  # type: ignore[attr-defined]
    first = [private_memory(pid) for pid in readers]
    for _ in tqdm(batches, total=len(loader) - 2 * workers, desc="an epoch", unit="batch"):
        pass
    last = [private_memory(pid) for pid in readers]
    return {"first": float(np.mean(first)), "last": float(np.mean(last)), "most": max(last)}


def apart(*arguments: object) -> dict[str, float]:
    """This program in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--measure", json.dumps(arguments)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(printed)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e4, 1e5, PUBLISHED, 1e6, 1e7])
    parser.add_argument("--epoch", type=int, default=PUBLISHED, help="entries of the read epoch")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*worker processes in total.*")
    if options.measure:
        kind, *rest = options.measure
        print(json.dumps(one_size(*rest) if kind == "size" else epoch_of_workers(*rest)))
        return
    with tempfile.TemporaryDirectory() as place:
        sizes(Path(place), [int(size) for size in options.sizes])
        memory(Path(place), options.epoch, options.workers)


def sizes(place: Path, entries: list[int]) -> None:
    shown = Table(title="a run on an indexed data set")
    for column in (
        "images",
        "index",
        "open it",
        "private memory",
        "find an image",
        "draw an order",
    ):
        shown.add_column(column, justify="right")
    for count in tqdm(entries, desc="sizes"):
        root = place / f"{count}"
        synthetic(root, count)
        size = places(str(root))[0].stat().st_size / 1e6
        runs = [apart("size", str(root)) for _ in range(3)]
        one = sorted(runs, key=lambda run: run["open_s"])[1]
        shown.add_row(
            f"{int(one['entries']):,}",
            f"{size:.1f} MB",
            f"{one['open_s'] * 1e3:.0f} ms",
            f"{one['memory_mb']:.1f} MB",
            f"{one['lookup_us']:.1f} µs",
            f"{one['order_s'] * 1e3:.0f} ms",
        )
    Console().print(shown)


def memory(place: Path, entries: int, workers: int) -> None:
    draws = np.random.default_rng(0)
    files = [str(place / f"{number}.png") for number in range(FILES)]
    for file in files:
        Image.fromarray(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
    synthetic(place / "epoch", entries, files)
    title = f"private memory of a reading process ({workers} of them), {entries:,} images"
    shown = Table(title=title)
    for column in ("paths in", "first batches", "end of the epoch", "the largest"):
        shown.add_column(column, justify="right")
    for name, listed in (("the index", False), ("Python lists", True)):
        one = apart("epoch", str(place / "epoch"), listed, entries, workers)
        shown.add_row(name, *(f"{one[key]:.0f} MB" for key in ("first", "last", "most")))
    Console().print(shown)


if __name__ == "__main__":
    main()
