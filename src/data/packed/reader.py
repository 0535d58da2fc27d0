"""A packed copy of a data set: decoded images in a few large files, for slow file systems.

Beside the folder `train/` lies `train.packed/`. For each label folder of the source it has one
with Arrow files of up to `SHARD_IMAGES` images (shards), and an index of the images
(`INDEX_FILE`). The copy can be moved alone to where a training runs. Images are read through
memory maps, in any order.

A copy is refused if a folder of its source changed (files added, removed or renamed). A file
that is rewritten in place leaves the modification time of its folder as it was: pack again then.
The index and each image have a checksum. A damaged index or a shard of another size is refused,
and an image whose pixels changed is unreadable.
"""

from __future__ import annotations

import bisect
import os
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.data.image_io import UnreadableError
from genspot.data.layout import (
    LABELS,
    FolderImages,
    LabelFolder,
    Listing,
    label_folders,
    make_listing,
)
from genspot.data.packed.index import FolderEntry, read_entry
from genspot.data.settings import Classes
from genspot.data.walk import PACKED_SUFFIX, LeftOut, join_paths, utf8_path

SHARD_IMAGES = 1024  # images per file: what a killed pack has to repeat
BATCH_IMAGES = 32  # images per record batch: what is in memory while packing
INDEX_FILE = "index.arrow.gz"
HINT = "task=pack data={generator} packs it, data.format=files reads the images themselves"
SHARD_SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # path of the source file in its label folder
        ("mtime_ns", pa.int64()),  # modification time of the source file
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("pixels", pa.large_binary()),  # uint8 RGB, row by row; null if unreadable
        ("crc32", pa.uint32()),  # see `checksum`
        ("reason", pa.string()),  # why it is unreadable
    ],
    metadata={"layout": f"{SHARD_IMAGES} images a file, {BATCH_IMAGES} a batch"},
)


class DamagedShardError(UnreadableError):
    """A shard that does not hold what was packed."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} is damaged or of an earlier version; task=pack writes it anew")


def checksum(pixels: np.ndarray) -> int:
    """Return the CRC-32 of an image, `uint8` H×W×3 and contiguous, and of its height."""
    return zlib.crc32(pixels.data, pixels.shape[0])


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
            UnreadableError: the image could not be read when it was packed, or its shard is
                damaged.
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
        DamagedShardError: the file is missing, damaged or no shard.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with pa.ipc.open_file(pa.memory_map(str(file))) as reader:
                self.table = reader.read_all()
            self.table.validate(full=True)  # damaged offsets would make Arrow read elsewhere
        except (OSError, ValueError, pa.ArrowException):
            raise DamagedShardError(file) from None
        if not self.table.schema.equals(SHARD_SCHEMA, check_metadata=True):
            raise DamagedShardError(file)
        heights, widths, self.checksums = (
            self.table[name].fill_null(0).to_numpy().astype(np.int64)
            for name in ("height", "width", "crc32")
        )
        self.shapes = np.stack([heights, widths], axis=1)
        self.batches = [_batch_pixels(chunk) for chunk in self.table["pixels"].chunks]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def unreadable(self) -> int:
        """The number of images that could not be read when they were packed."""
        return int(self.table["reason"].length() - self.table["reason"].null_count)

    def image(self, position: int) -> np.ndarray | str:
        """Return the pixels of an image, read-only; or why there are none.

        Raises:
            DamagedShardError: it is not what was packed.
        """
        reason = self.table["reason"][position].as_py()
        if reason is not None:
            return str(reason)
        try:
            height, width = self.shapes[position].tolist()
            batch, row = divmod(position, BATCH_IMAGES)
            values, offsets = self.batches[batch]
            start = int(offsets[row])
            image = values[start : start + 3 * height * width].reshape(height, width, 3)
        except (IndexError, ValueError):
            raise DamagedShardError(self.file) from None
        if checksum(image) != self.checksums[position]:
            raise DamagedShardError(self.file)
        return image


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
) -> tuple[Listing, PackedReader]:
    """Return the images of the packed copy of `folder`, and the reader of them.

    Raises:
        GenspotError: there is no packed copy, it lacks a class or an image, it is damaged, or
            the folder changed since.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    outside: list[LeftOut] = []
    if os.path.isdir(root):
        sources, outside = label_folders(root, generator, classes)
    else:
        sources = _packed_label_folders(root, generator, classes)
    places = [copy / os.path.relpath(source.path, root) for source in sources]
    try:
        entries = [
            _open_folder(source.path, place) for source, place in zip(sources, places, strict=True)
        ]
    except GenspotError as error:
        raise GenspotError(f"{error}; {HINT.format(generator=generator)}") from None
    listing = make_listing(
        root,
        generator,
        [
            FolderImages(
                source,
                join_paths(source.path, entry.names),
                entry.left_out_of(source.path),
                entry.real_folders(source.path),
            )
            for source, entry in zip(sources, entries, strict=True)
        ],
        outside,
    )
    folders = [(place, len(entry.names)) for place, entry in zip(places, entries, strict=True)]
    return listing, PackedReader(folders)


def _open_folder(source: str, packed: Path) -> FolderEntry:
    """Return the index of a packed label folder.

    Raises:
        GenspotError: it is missing or damaged, a shard is, or the folder `source` changed.
    """
    entry = read_entry(packed / INDEX_FILE)
    if entry is None:
        raise GenspotError(f"there is no packed copy of {source}")
    if os.path.isdir(source) and (changed := entry.changed_folder(source)):
        raise GenspotError(f"{utf8_path(changed)} changed since it was packed")
    for number, size in enumerate(entry.shards):
        file = shard_file(packed, number)
        if not file.is_file():
            raise GenspotError(f"{file} is missing")
        if file.stat().st_size != size:
            raise GenspotError(f"{file} is damaged: {file.stat().st_size} of {size} bytes")
    return entry


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
