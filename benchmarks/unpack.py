"""Unpacking beside one core that inflates the same members, and beside writing their bytes.

make bench-unpack
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import print_table, time_in_turns
from genspot.download.directory import Directory, read_directory
from genspot.download.members import batches, read_batch
from genspot.download.progress import Progress
from genspot.download.source import LocalFile
from genspot.download.unpack import find_missing, lock_root, unpack

Contents = list[bytes]

KINDS = 50  # different contents; the members repeat them
VARIANTS = ("unpack", "one file", "files", "inflate")


def photographs(kind: str, side: int) -> Contents:
    """Return images of about 100 kB, smooth with some noise, as "PNG" or uncompressed as "PPM"."""
    images = []
    for seed in range(KINDS):
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32)
        pixels = (smooth + rng.normal(0, 3, smooth.shape)).clip(0, 255).astype(np.uint8)
        file = BytesIO()
        Image.fromarray(pixels).save(file, kind)
        images.append(file.getvalue())
    return images


def make_archive(path: Path, contents: Contents, method: int, count: int) -> None:
    """Write an archive of `count` members in two label folders."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for number, content in zip(range(count), itertools.cycle(contents), strict=False):
            label = "0_real" if number < count // 2 else "1_fake"
            archive.writestr(f"cat/{label}/{number:05d}.png", content)


def inflate(members: Contents) -> None:
    """Inflate all members on one core."""
    for member in members:
        zlib.decompress(member, -zlib.MAX_WBITS)


def deflated_members(path: Path) -> Contents:
    """Return the members of an archive as they are stored in it."""
    members = []
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)  # the lengths of the name and of the extra field
            lengths = np.frombuffer(file.read(4), "<u2").astype(int)
            file.seek(int(lengths.sum()), os.SEEK_CUR)
            members.append(file.read(info.compress_size))
    return members


def write_one_file(folder: Path, contents: Contents) -> None:
    """Write the contents to one file, and wait for the disk: what dd measures."""
    with open(folder / "all", "wb") as file:
        for content in contents:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_files(folder: Path, contents: Contents) -> None:
    """Write each of the contents to a file of its own, and wait for the disk."""
    for number, content in enumerate(contents):
        (folder / f"{number:05d}.png").write_bytes(content)
    os.sync()


def unpack_all(root: Path, source: LocalFile, directory: Directory, threads: int) -> None:
    with lock_root(root), Progress("unpacking", directory.stored, quiet=True) as progress:
        missing = find_missing(directory, root)
        unpack(source, missing, threads, progress, lambda: None)


def measure(archive: Path, turns: int, threads: int) -> tuple[str, ...]:
    """Return the cells of a row: MB/s of each variant, and the rate of `unpack` beside others."""
    folder = archive.parent
    source = LocalFile(archive, archive.stat().st_size)
    directory = read_directory(source, folder / "cache", archive.name)
    contents = [one.data for batch in batches(directory) for one in read_batch(source, batch)]

    def in_new_folder(call: Callable[..., None], *arguments: object) -> None:
        call(Path(tempfile.mkdtemp(dir=folder)), *arguments)

    variants: dict[str, Callable[[], object]] = {
        "unpack": partial(in_new_folder, unpack_all, source, directory, threads),
        "one file": partial(in_new_folder, write_one_file, contents),
        "files": partial(in_new_folder, write_files, contents),
    }
    if 8 in directory.table["method"].to_pylist():
        variants["inflate"] = partial(inflate, deflated_members(archive))
    size = sum(map(len, contents)) / 1e6
    seconds = time_in_turns(variants, turns)
    # The fastest turn: what other programs take from the cores and the disk only adds time.
    rates = {key: size / min(own) for key, own in seconds.items()}
    return (
        *(f"{rates[key]:.0f}" if key in rates else "" for key in VARIANTS),
        *(f"{rates['unpack'] / rates[key]:.2f}" if key in rates else "" for key in VARIANTS[1:]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="members of about 100 kB")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: temporary")
    parser.add_argument("--images", type=Path, help="folder of PNG files, instead of drawn ones")
    options = parser.parse_args()
    given = sorted(options.images.rglob("*.png"))[:300] if options.images else []
    png = [path.read_bytes() for path in given] or photographs("PNG", 256)
    cases = {
        "PNG, stored": (png, zipfile.ZIP_STORED),
        "PNG, deflated": (png, zipfile.ZIP_DEFLATED),
        "uncompressed, deflated": (photographs("PPM", 180), zipfile.ZIP_DEFLATED),
    }
    rows = []
    for name, (contents, method) in cases.items():
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            archive = Path(folder) / "members.zip"
            make_archive(archive, contents, method, options.count)
            rows.append((name, *measure(archive, options.turns, options.threads)))
    columns = ["members", *(f"{name}, MB/s" for name in VARIANTS)]
    columns += [f"unpack / {name}" for name in VARIANTS[1:]]
    print_table(f"{options.count} members, {options.threads} threads", tuple(columns), rows)


if __name__ == "__main__":
    main()
