"""Reading the directory of an archive as large as the published one, beside `zipfile` alone.

python -m benchmarks.directory

The archive has the form of progan_train.zip, with the extra fields that Info-ZIP writes, but no
content: a sparse file. Each reading is a process of its own, whose memory is its largest.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.timing import print_table
from genspot.download.directory import read_directory
from genspot.download.source import LocalFile

LABEL_FOLDERS = 40  # twenty classes
LARGEST = 0xFFFFFFFF  # of an offset without ZIP64
TIMES = struct.pack("<HHBl", 0x5455, 5, 1, 1_600_000_000)
OWNER = struct.pack("<HHBBLBL", 0x7875, 11, 1, 4, 1000, 4, 1000)
HEADER = struct.Struct("<4s6H3L5H2L")


def make_archive(path: Path, entries: int) -> None:
    """Write a ZIP64 file whose members have 80 to 130 kB, as the directory states."""
    rng = random.Random(0)
    offset = 0
    directory = bytearray()
    for number in range(entries):
        folder, image = divmod(number, -(-entries // LABEL_FOLDERS))
        name = (
            f"class{folder // 2:02d}/{('0_real', '1_fake')[folder % 2]}/{image:05d}.png".encode()
        )
        size = rng.randrange(80_000, 130_000)
        large = offset >= LARGEST
        extra = TIMES + OWNER + (struct.pack("<HHQ", 1, 8, offset) if large else b"")
        fixed = (b"PK\1\2", 3 << 8 | 30, 45, 0, 0, 0, 0x2921)
        numbers = (rng.getrandbits(32), size, size, len(name), len(extra), 0, 0, 0)
        place = LARGEST if large else offset
        directory += HEADER.pack(*fixed, *numbers, 0o100644 << 16, place) + name + extra
        offset += 30 + len(name) + 28 + size
    end = struct.pack(
        "<QHHLLQQQQ", 44, 3 << 8 | 45, 45, 0, 0, entries, entries, len(directory), offset
    )
    locator = struct.pack("<LQL", 0, offset + len(directory), 1)
    last = struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, LARGEST, LARGEST, 0)
    with path.open("wb") as file:
        file.seek(offset)
        file.write(directory + b"PK\6\6" + end + b"PK\6\7" + locator + b"PK\5\6" + last)


def by_zipfile(path: Path) -> int:
    """Return the number of entries that `zipfile` reads."""
    with zipfile.ZipFile(path) as archive:
        return len(archive.infolist())


def by_genspot(path: Path) -> int:
    """Return the number of files that `read_directory` reads; it keeps them beside `path`."""
    source = LocalFile(path, path.stat().st_size)
    return len(read_directory(source, path.parent, path.name))


def measure(reading: Callable[[Path], int], path: Path) -> tuple[int, float, int]:
    """Return what `reading` returns, its seconds of the processor, and the memory in bytes."""
    start = time.process_time()
    count = reading(path)
    seconds = time.process_time() - start
    unit = 1 if sys.platform == "darwin" else 1024
    return count, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def apply(call: Callable[..., Any], *arguments: object) -> Any:
    """Return what `call` returns in a process of its own, whose memory no other call adds to."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(call, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=720_119)
    options = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.zip"
        apply(make_archive, path, options.entries)
        readings = {
            "zipfile": by_zipfile,
            "read_directory": by_genspot,
            "read_directory, kept": by_genspot,
        }
        for title, reading in readings.items():
            count, seconds, memory = apply(measure, reading, path)
            assert count == options.entries
            rows.append((title, f"{seconds:.2f}", f"{memory / 1e6:.0f}"))
        (kept,) = Path(folder).glob("*.parquet")
        title = f"{options.entries:,} entries; kept in {kept.stat().st_size / 1e6:.1f} MB"
    print_table(title, ("reading", "seconds", "MB"), rows)


if __name__ == "__main__":
    main()
