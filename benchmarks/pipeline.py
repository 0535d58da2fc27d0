"""From the file to the crop, on one core: genspot's input pipeline beside the published one.

    make bench                                   the embedded photographs
    python -m benchmarks.pipeline --images DIR   PNG photographs of one's own (256×256 compares)

Every variant reads the same images in the same order with the same draws; the variants take
turns, and the median over the turns is shown. Before anything is timed, each exact crop is held
against the published one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import cv2
import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from benchmarks.published import CROP, SIDE, draws_of, published, tensor
from genspot.data.dataset import ImageDataset
from genspot.data.packed.writer import pack
from genspot.data.simulated.build import photos, window
from genspot.data.packed.reader import open_store

Work = Callable[[int], object]
OVERHEAD = "seeding, Compose, crop and flip alone"


def photographs(folder: Path, count: int) -> None:
    """`count` windows of 256×256 pixels of the embedded photographs, as PNG, in two halves."""
    draws = np.random.default_rng(0)
    sources = [photo for split in ("train", "val", "test") for photo in photos(split).values()]
    for number in range(count):
        half = folder / ("1_fake" if number % 2 else "0_real")
        half.mkdir(parents=True, exist_ok=True)
        pixels = window(sources[number % len(sources)], SIDE, draws)
        Image.fromarray(pixels).save(half / f"{number:06d}.png")


def copies(source: Path, folder: Path, count: int) -> None:
    """The first `count` PNG files below `source`, linked into two halves."""
    for number, file in enumerate(sorted(source.rglob("*.png"))[:count]):
        half = folder / ("1_fake" if number % 2 else "0_real")
        half.mkdir(parents=True, exist_ok=True)
        (half / f"{number:06d}.png").symlink_to(file.resolve())


def dataset(table: pa.Table, exact: bool, read: object = None, p: float = 0.5) -> ImageDataset:
    """As data=… aug=blur_jpg_0.5 builds it."""
    transforms = [Blur((0, 3), exact=exact, p=p), JPEG((30, 100), p=p)]
    augment = albumentations.Compose(transforms)
    return ImageDataset(table, augment, SIDE, CROP, train=True, seed=0, read=read)  # type: ignore[arg-type]


def variants(folder: Path) -> tuple[dict[str, Work], int]:
    """What is timed, by name, each a function of the row; and the number of rows."""
    pack(folder, "bench", None)
    table, packed = open_store(folder, "bench", None)
    paths = table["path"].to_pylist()
    if not all(_fits(path) for path in paths):
        raise SystemExit(f"all images must have {SIDE}×{SIDE} pixels")
    exact, exact_packed = dataset(table, exact=True), dataset(table, exact=True, read=packed)
    draws = [draws_of(exact, 0, row, SIDE, SIDE) for row in range(len(paths))]
    for row, path in enumerate(paths):
        expected = np.asarray(published(path, draws[row]))
        for source in (exact, exact_packed):
            np.testing.assert_array_equal(source[0, row]["image"], expected, err_msg=path)
    pixels = packed(0)
    works: dict[str, Work] = {
        "published pipeline": lambda row: tensor(published(paths[row], draws[row])),
        "published, without ToTensor and Normalize": lambda row: published(paths[row], draws[row]),
        "exact, from PNG": lambda row: exact[0, row],
        "exact, from the packed store": lambda row: exact_packed[0, row],
    }
    for name, other in (
        ("unbiased blur, from PNG", dataset(table, exact=False)),
        ("unbiased blur, from the packed store", dataset(table, exact=False, read=packed)),
        (OVERHEAD, dataset(table, exact=True, read=lambda _: pixels, p=0.0)),
    ):
        works[name] = lambda row, other=other: other[0, row]  # type: ignore[misc]
    return works, len(paths)


def _fits(path: str) -> bool:
    with Image.open(path) as image:
        return image.size == (SIDE, SIDE)


def measure(works: dict[str, Work], rows: int, turns: int) -> dict[str, list[float]]:
    """Microseconds an image of each variant, a figure a turn."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns + 1):  # the first warms caches and is not counted
        for name, work in works.items():
            start = time.perf_counter()
            for row in range(rows):
                work(row)
            if turn:
                times[name].append((time.perf_counter() - start) / rows * 1e6)
    return times


def show(times: dict[str, list[float]], rows: int) -> None:
    yardstick = times["published pipeline"]
    table = Table(title=f"{rows} photographs, {SIDE}×{SIDE}, blur_jpg_0.5, one core")
    for name in (
        "from the file to the crop",
        "µs an image",
        "images/s",
        "ratio",
        "lowest–highest",
    ):
        table.add_column(name, justify="left" if name[0] == "f" else "right")
    for name, own in times.items():
        ratios = [base / mine for base, mine in zip(yardstick, own, strict=True)]
        middle = statistics.median(own)
        table.add_row(
            name,
            f"{middle:.0f}",
            f"{1e6 / middle:.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}–{max(ratios):.2f}",
        )
    console = Console()
    console.print(table)
    share = statistics.median(times[OVERHEAD]) / statistics.median(times["exact, from PNG"])
    console.print(f"seeding, Compose, crop and flip: {share:.1%} of the exact PNG path")
    console.print("every exact crop was identical to the published one")
    console.print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, help="a folder of PNG photographs, 256×256")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        if options.images:
            copies(options.images, folder, options.count)
        else:
            photographs(folder, options.count)
        works, rows = variants(folder)
        show(measure(works, rows, options.turns), rows)


if __name__ == "__main__":
    main()
