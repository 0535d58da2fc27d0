"""A packed copy of a data set: decoded images in a few large files, for slow file systems.

Beside the folder `train/` lies `train.packed/`. For each label folder of the source it has one
with Arrow files of up to `SHARD_IMAGES` images (shards), and an index of the images
(`index.arrow`). The copy can be moved alone to where a training runs. Images are read through
memory maps, in any order.

A copy is refused if a folder of its source changed (files added, removed or renamed). A file
that is rewritten in place leaves the modification time of its folder as it was: pack again then.
"""

from __future__ import annotations

import bisect
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.data.image_io import UnreadableError
from genspot.data.layout import (
    LABELS,
    PACKED_SUFFIX,
    LabelFolder,
    join_samples,
    label_folders,
    utf8_path,
)
from genspot.data.packed.index import read_entry
from genspot.data.settings import Classes

SHARD_IMAGES = 1024  # images per file: what a killed pack has to repeat
BATCH_IMAGES = 32  # images per record batch: what is in memory while packing
INDEX_FILE = "index.arrow"
HINT = "task=pack data={generator} packs it, data.format=files reads the images themselves"
SHARD_SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # of the source file
        ("mtime_ns", pa.int64()),  # modification time of the source file
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("pixels", pa.large_binary()),  # uint8 RGB, row by row; null if unreadable
        ("reason", pa.string()),  # why it is unreadable
    ],
    metadata={"layout": f"{SHARD_IMAGES} images a file, {BATCH_IMAGES} a batch"},
)


class PackedReader:
    """A function from the row of a table of samples to its image, `uint8` H×W×3.

    Args:
        folders: folders of the copy in the order of the table, with their numbers of images.
    """

    def __init__(self, folders: list[tuple[Path, int]]) -> None:
        self.folders = [folder for folder, _ in folders]
        self.starts = np.cumsum([0, *(images for _, images in folders)]).tolist()[:-1]
        self.shards: dict[tuple[int, int], Shard] = {}

    def __call__(self, row: int) -> np.ndarray:
        """Return the image of `row`.

        Raises:
            UnreadableError: the image could not be read when it was packed.
        """
        folder = bisect.bisect_right(self.starts, row) - 1
        number, position = divmod(row - self.starts[folder], SHARD_IMAGES)
        shard = self.shards.get((folder, number))
        if shard is None:
            shard = Shard(shard_file(self.folders[folder], number))
            self.shards[folder, number] = shard
        image = shard.image(position)
        if isinstance(image, str):
            raise UnreadableError(image)
        return image.copy()  # mapped pages are read-only

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"shards": {}}


class Shard:
    """The images of one file of a packed copy, mapped into memory.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: the file is missing or damaged.
        KeyError: the file is no shard.
    """

    def __init__(self, file: Path) -> None:
        with pa.ipc.open_file(pa.memory_map(str(file))) as reader:
            self.table = reader.read_all()
        heights, widths = (
            self.table[name].fill_null(0).to_numpy().astype(np.int64)
            for name in ("height", "width")
        )
        self.shapes = np.stack([heights, widths], axis=1)
        self.batches = [_batch_pixels(chunk) for chunk in self.table["pixels"].chunks]

    def image(self, position: int) -> np.ndarray | str:
        """Return the pixels of an image, read-only; or why there are none."""
        height, width = self.shapes[position].tolist()
        if not height:
            return str(self.table["reason"][position].as_py())
        batch, row = divmod(position, BATCH_IMAGES)
        values, offsets = self.batches[batch]
        start = int(offsets[row])
        return values[start : start + 3 * height * width].reshape(height, width, 3)


def _batch_pixels(chunk: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all images of a record batch, and the offset of each image."""
    _, offsets, values = chunk.buffers()
    return np.frombuffer(values or b"", np.uint8), np.frombuffer(offsets, np.int64)


def shard_file(folder: Path, number: int) -> Path:
    """Return the path of a shard in a folder of a packed copy."""
    return folder / f"{number:05d}.arrow"


def packed_folder(root: str) -> Path:
    """Return the path of the packed copy of the data set in `root`."""
    return Path(root + PACKED_SUFFIX)


def open_packed(
    folder: str | Path, generator: str, classes: Classes
) -> tuple[pa.Table, PackedReader]:
    """Return the table of samples of the packed copy of `folder`, and the reader of their images.

    Raises:
        GenspotError: there is no packed copy, it lacks a class, or the folder changed since.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    found = label_folders if os.path.isdir(root) else _packed_label_folders
    sources = found(root, generator, classes)
    paths, folders = [], []
    for source in sources:
        packed = copy / os.path.relpath(source.path, root)
        entry = read_entry(packed / INDEX_FILE, source.path)
        hint = HINT.format(generator=generator)
        if entry is None:
            raise GenspotError(f"{copy} lacks {os.path.relpath(source.path, root)}; {hint}")
        if os.path.isdir(source.path) and os.stat(source.path).st_mtime_ns != entry.mtime_ns:
            raise GenspotError(f"{source.path} changed since it was packed; {hint}")
        for number in range(-(-len(entry.paths) // SHARD_IMAGES)):
            if not shard_file(packed, number).is_file():
                raise GenspotError(f"{shard_file(packed, number)} is missing; {hint}")
        paths.append(entry.paths)
        folders.append((packed, len(entry.paths)))
    return join_samples(sources, paths, generator), PackedReader(folders)


def _packed_label_folders(root: str, generator: str, classes: Classes) -> list[LabelFolder]:
    """Return the label folders of a source that is not here, in the order of `label_folders`.

    Raises:
        GenspotError: `classes` is "any" and there is no packed copy.
    """
    copy = packed_folder(root)
    if classes == "any":
        parents = {index.parents[1].relative_to(copy) for index in copy.rglob(INDEX_FILE)}
        if not parents:
            raise GenspotError(
                f"{copy} lacks all images, and there is no folder {root}; "
                + HINT.format(generator=generator)
            )
    else:
        parents = {Path()} if classes is None else {Path(name) for name in classes}
    return [
        LabelFolder(
            os.path.normpath(os.path.join(root, parent, name)),
            "" if parent == Path() else utf8_path(parent.as_posix()),
            label,
        )
        for parent in sorted(parents)
        for name, label in LABELS.items()
    ]
