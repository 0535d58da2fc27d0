"""A packed copy of a data set: decoded images in a few large files, for slow file systems.

Beside the folder `train/` lies `train.packed/`: for each half of each class a folder of Arrow
files of up to `SHARD` images, and an index. A store needs no source: it can be copied alone to
where the training runs. Images are read through memory maps, in any order.

A store is out of date when a folder of its source changed (files added, removed or renamed), and
is then refused. A file rewritten in place leaves its folder's time as it was: pack again.
"""

from __future__ import annotations

import bisect
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.data import image_io as images
from genspot.common.errors import GenspotError
from genspot.data.layout import LABELS, PACKED, halves
from genspot.data.index import Index, read_index

SHARD = 1024  # images a file: what a killed pack can lose
BATCH = 32  # images written at once
SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # of the file
        ("changed", pa.int64()),  # when it changed last, in nanoseconds
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("pixels", pa.large_binary()),  # uint8 RGB, row by row; null where it cannot be read
        ("reason", pa.string()),  # why
    ],
    metadata={"layout": f"{SHARD} images a file, {BATCH} a batch"},
)


class Packed:
    """The images of a table by their rows, from a store.

    Args:
        parts: for each section of the table, its folder in the store and its number of rows.
    """

    def __init__(self, parts: list[tuple[Path, int]]) -> None:
        self.folders = [folder for folder, _ in parts]
        self.starts = np.cumsum([0, *(rows for _, rows in parts)]).tolist()[:-1]
        self.shards: dict[tuple[int, int], Shard] = {}

    def __call__(self, row: int) -> np.ndarray:
        """The image of `row`, `uint8` H×W×3.

        Raises:
            images.UnreadableError: it could not be read when it was packed.
        """
        part = bisect.bisect_right(self.starts, row) - 1
        number, place = divmod(row - self.starts[part], SHARD)
        shard = self.shards.get((part, number))
        if shard is None:
            shard = Shard(shard_file(self.folders[part], number))
            self.shards[part, number] = shard
        image = shard.image(place)
        if isinstance(image, str):
            raise images.UnreadableError(image)
        return image.copy()  # a mapped page cannot be written to

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"shards": {}}


class Shard:
    """The images of one file of a store, mapped into memory.

    NumPy sees through Arrow's buffers: an image costs no Arrow object. The file needs no
    descriptor while it is open, of which there may be fewer than files.
    """

    def __init__(self, file: Path) -> None:
        with pa.memory_map(str(file)) as mapped:
            self.table = pa.ipc.open_file(mapped.read_buffer()).read_all()
        heights, widths = (
            self.table[name].fill_null(0).to_numpy().astype(np.int64)
            for name in ("height", "width")
        )
        self.shapes = np.stack([heights, widths], axis=1)
        self.batches = [_pixels(chunk) for chunk in self.table["pixels"].chunks]

    def image(self, place: int) -> np.ndarray | str:
        """The pixels of an image, in place and not writable; or why there are none."""
        height, width = self.shapes[place].tolist()
        if not height:
            return str(self.table["reason"][place].as_py())
        batch, offset = divmod(place, BATCH)
        values, offsets = self.batches[batch]
        start = int(offsets[offset])
        return values[start : start + 3 * height * width].reshape(height, width, 3)


def _pixels(chunk: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all images of a batch, and where each begins."""
    _, offsets, values = chunk.buffers()
    return np.frombuffer(values or b"", np.uint8), np.frombuffer(offsets, np.int64)


def shard_file(folder: Path, number: int) -> Path:
    """A shard's place below the folder of its half."""
    return folder / f"{number:05d}.arrow"


def store_of(folder: str | Path) -> Path:
    """Where the store of `folder` lies."""
    root = Path(os.path.abspath(folder))
    return root.with_name(root.name + PACKED)


def index_of(folder: str | Path) -> Index:
    """The index of the store of `folder`; empty where there is none."""
    return read_index(store_of(folder) / "index.arrow", os.path.abspath(folder))


def open_store(
    folder: str | Path, generator: str, classes: list[str] | str | None
) -> tuple[pa.Table, Packed]:
    """The table of samples of `folder` from its store, and the reader of their images.

    Raises:
        GenspotError: there is no store, it lacks a class, or the folder changed since.
    """
    index = index_of(folder)
    wanted = _wanted(index, folder, generator, classes)
    known = {section.folder: section for section in index.sections}
    mend = f"task=pack data={generator} packs it, genspot.data.packed.reader=files reads the images themselves"
    if missing := sorted(set(wanted) - known.keys()):
        raise GenspotError(f"{store_of(folder)} lacks {', '.join(missing[:3])}; {mend}")
    for name in wanted:
        half = os.path.join(index.root, name)
        if os.path.isdir(half) and os.stat(half).st_mtime_ns != known[name].changed:
            raise GenspotError(f"{half} changed since it was packed; {mend}")
    parts = [(store_of(folder) / name, known[name].rows) for name in wanted]
    for place, rows in parts:
        for number in range(-(-rows // SHARD)):
            if not shard_file(place, number).is_file():
                raise GenspotError(f"{shard_file(place, number)} is missing; {mend}")
    return index.select(wanted).samples(generator), Packed(parts)


def _wanted(
    index: Index, folder: str | Path, generator: str, classes: list[str] | str | None
) -> list[str]:
    """The halves to read, in the order in which the source lists them."""
    if os.path.isdir(folder):
        found = halves(folder, generator, classes)
        return [os.path.relpath(half.folder, index.root) for half in found]
    if classes == "any":
        names = (section.folder for section in index.sections)
        return sorted(names, key=lambda name: (Path(name).parent, name))
    parents = [""] if classes is None else sorted(classes)
    return [os.path.join(parent, half) for parent in parents for half in LABELS]
