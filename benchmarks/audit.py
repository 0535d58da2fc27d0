"""How long the audit takes for an image of 256×256 pixels on one core, and to judge a set.

python -m benchmarks.audit                the embedded photographs, as PNG and as JPEG
python -m benchmarks.audit --images DIR   your own images

Times are those of the processor, so that other programs on the machine hardly matter.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.pipeline import write_photographs
from benchmarks.timing import print_table, time_in_turns
from genspot.data import image_io
from genspot.data.audit.probe import collate_probes, probe_image
from genspot.data.settings import MAX_MEGAPIXELS
from genspot.evaluation.shortcuts import judge


def decode_all(paths: list[str]) -> None:
    """Decode the images and do nothing with them."""
    for path in paths:
        image_io.read(path)


def probe_all(paths: list[str]) -> list[dict[str, object]]:
    """Return the probes of the images."""
    return [{"row": row, **probe_image(path, MAX_MEGAPIXELS)} for row, path in enumerate(paths)]


def write_jpegs(source: Path, target: Path) -> None:
    """Write the images below `source` as JPEG of quality 75."""
    for number, path in enumerate(sorted(source.rglob("*.png"))):
        Image.open(path).save(target / f"{number}.jpg", quality=75)


def print_times(name: str, paths: list[str], turns: int) -> None:
    """Print milliseconds per image to decode it alone, and to probe it."""
    variants = {
        "decode alone": partial(decode_all, paths),
        "all probes": partial(probe_all, paths),
    }
    rows = []
    for variant, seconds in time_in_turns(variants, turns, time.process_time).items():
        each = [value * 1000 / len(paths) for value in seconds]
        cells = [f"{value:.2f}" for value in (statistics.median(each), min(each), max(each))]
        rows.append((variant, *cells))
    columns = ("variant", "ms of one core per image", "lowest", "highest")
    print_table(f"{len(paths)} images: {name}", columns, rows)


def print_judgement(paths: list[str], count: int) -> None:
    """Print the seconds that judging a set of `count` images takes."""
    few = collate_probes(probe_all(paths))["probes"]  # type: ignore[arg-type]
    drawn = np.random.default_rng(0).integers(0, len(few), count)
    probes = pa.Table.from_batches([few]).take(drawn)
    labels = np.arange(count) % 2
    start = time.process_time()
    judge(probes, labels, [str(number) for number in range(count)])
    print(f"judging {count} images: {time.process_time() - start:.1f} s of one core")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--images", type=Path, help="folder of your own images")
    parser.add_argument("--count", type=int, default=200, help="of images")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--judged", type=int, default=10_000, help="images of the set judged")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as name:
        folders = {"PNG": Path(name) / "png", "JPEG": Path(name) / "jpeg"}
        if options.images:
            folders = {"your own": options.images}
        else:
            for folder in folders.values():
                folder.mkdir()
            write_photographs(folders["PNG"], options.count)
            write_jpegs(folders["PNG"], folders["JPEG"])
        every = []
        for kind, folder in folders.items():
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            paths = [str(path) for path in files][: options.count]
            print_times(kind, paths, options.turns)
            every += paths
        print_judgement(every, options.judged)


if __name__ == "__main__":
    main()
