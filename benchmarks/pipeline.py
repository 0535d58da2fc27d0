"""From the file to the crop on one core: genspot's input pipeline and the published one.

    make bench                                   the embedded photographs
    python -m benchmarks.pipeline --images DIR   your own photographs: PNG, 256×256 pixels

All variants read the same images in the same order with the same random parameters. Before
anything is timed, each exact crop is compared with the published one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask a server on import

import albumentations
import cv2
import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from benchmarks.published import CROP, SIDE, drawn_parameters, normalised_tensor, published_crop
from benchmarks.timing import print_ratios, time_in_turns
from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.common.geometry import Geometry
from genspot.data.dataset import ImageDataset
from genspot.data.packed.reader import open_packed
from genspot.data.packed.writer import pack
from genspot.data.simulated import photographs
from genspot.data.simulated.build import window

PUBLISHED = "published pipeline"
EXACT = "exact, from PNG"
OVERHEAD = "seeding, Compose, crop and flip alone"


def label_folder(folder: Path, number: int) -> Path:
    """Return the folder of image `number`: reals and fakes take turns."""
    path = folder / ("1_fake" if number % 2 else "0_real")
    path.mkdir(parents=True, exist_ok=True)
    return path


def write_photographs(folder: Path, count: int) -> None:
    """Write `count` windows of 256×256 pixels of the embedded photographs as PNG."""
    rng = np.random.default_rng(0)
    sources = [
        photo for split in ("train", "val", "test") for photo in photographs.load(split).values()
    ]
    for number in range(count):
        pixels = window(sources[number % len(sources)], SIDE, rng)
        Image.fromarray(pixels).save(label_folder(folder, number) / f"{number:06d}.png")


def link_photographs(source: Path, folder: Path, count: int) -> None:
    """Link the first `count` PNG files below `source`."""
    for number, file in enumerate(sorted(source.rglob("*.png"))[:count]):
        with Image.open(file) as image:
            if image.size != (SIDE, SIDE):
                raise SystemExit(f"{file}: all images must have {SIDE}×{SIDE} pixels")
        (label_folder(folder, number) / f"{number:06d}.png").symlink_to(file.resolve())


def training_images(
    table: pa.Table,
    read: Callable[[int], np.ndarray] | None = None,
    exact: bool = True,
    p: float = 0.5,
) -> ImageDataset:
    """Return the training images of `aug=blur_jpg_0.5`, with probability `p` of blur and JPEG."""
    augment = albumentations.Compose([Blur((0, 3), exact=exact, p=p), JPEG((30, 100), p=p)])
    return ImageDataset(table, augment, Geometry(SIDE, CROP), train=True, read=read)


def make_variants(folder: Path) -> tuple[dict[str, Callable[[], None]], int]:
    """Return the variants by name, each of which reads all images, and the number of images."""
    pack(folder, "bench", None)
    listing, packed = open_packed(folder, "bench", None)
    table = listing.table
    paths = table["path"].to_pylist()
    exact, exact_packed = training_images(table), training_images(table, packed)
    parameters = [drawn_parameters(exact, 0, row, SIDE, SIDE) for row in range(len(paths))]
    for row, path in enumerate(paths):
        expected = np.asarray(published_crop(path, parameters[row]))
        for dataset in (exact, exact_packed):
            np.testing.assert_array_equal(dataset[0, row]["image"], expected, err_msg=path)
    decoded = packed(0)
    datasets = {
        EXACT: exact,
        "exact, from the packed copy": exact_packed,
        "unbiased blur, from PNG": training_images(table, exact=False),
        "unbiased blur, from the packed copy": training_images(table, packed, exact=False),
        OVERHEAD: training_images(table, lambda _: decoded, p=0.0),
    }

    def crop(row: int) -> Image.Image:
        return published_crop(paths[row], parameters[row])

    variants: dict[str, Callable[[int], object]] = {
        PUBLISHED: lambda row: normalised_tensor(crop(row)),
        "published, without ToTensor and Normalize": crop,
    }
    for name, dataset in datasets.items():
        variants[name] = lambda row, dataset=dataset: dataset[0, row]  # type: ignore[misc]
    rows = len(paths)
    return {name: partial(read_all, call, rows) for name, call in variants.items()}, rows


def read_all(variant: Callable[[int], object], rows: int) -> None:
    for row in range(rows):
        variant(row)


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
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "photos")
        if options.images:
            link_photographs(options.images, folder, options.count)
        else:
            write_photographs(folder, options.count)
        variants, rows = make_variants(folder)
        seconds = time_in_turns(variants, options.turns)
    title = f"{rows} photographs, {SIDE}×{SIDE}, blur_jpg_0.5, one core"
    print_ratios(title, seconds, rows, "µs an image", 1e6 / rows)
    overhead = statistics.median(seconds[OVERHEAD]) / statistics.median(seconds[EXACT])
    print(f"seeding, Compose, crop and flip: {overhead:.1%} of the exact PNG path")
    print("every exact crop was identical to the published one")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
