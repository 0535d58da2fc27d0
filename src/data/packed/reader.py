"""A packed copy of a data set: decoded images in a few large files, for slow file systems.

Beside the folder `train/` lies `train.packed/`. For each label folder of the source it has one
with Arrow files of up to `SHARD_IMAGES` images (shards), and an index of the images
(`INDEX_FILE`). The copy can be moved alone to where a training runs. Images are read through
memory maps, in any order.

Images are packed from files, or from the members of an archive, which never become files
(`genspot.data.packed.stream`).

A copy is refused if it lacks a label folder, or if its source changed (files added, removed or
renamed). A file that is rewritten in place leaves the modification time of its folder as it was:
pack again then. A class that was packed from an archive may be absent in `train/`. The index and
each image have a checksum. A damaged index, a shard of another size and the shard of another
folder or copy are refused. An image whose pixels changed is unreadable.
"""

from __future__ import annotations

import bisect
import os
from pathlib import Path

import numpy as np

from genspot.common.errors import GenspotError
from genspot.data.image_io import UnreadableError
from genspot.data.layout import FolderImages, Listing, make_listing
from genspot.data.packed.index import INDEX_FILE, FolderEntry, read_entry
from genspot.data.packed.shard import SHARD_IMAGES, Shard, check_shard, shard_file
from genspot.data.packed.sources import HINT, find_sources, packed_folder
from genspot.data.settings import DEFAULT_LABELS, Classes, Labels, Place
from genspot.data.walk import Images, file_id, join_paths


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


def require_folder(place: Place, generator: str) -> str:
    """Return the folder that a place is: only folders have packed copies.

    Raises:
        GenspotError: it is something else.
    """
    if isinstance(place, str) and not os.path.isfile(place):
        return place
    raise GenspotError(
        f"{generator}: {place} is no folder, and only folders are packed: data.format=files reads "
        "it as it is"
    )


def open_packed(
    folder: str | Path,
    generator: str,
    classes: Classes,
    labels: Labels = DEFAULT_LABELS,
    offer: str = "",
) -> tuple[Listing, PackedReader]:
    """Return the images of the packed copy of `folder`, and the reader of them.

    Args:
        folder: of the data set, which need not be here.
        generator: its name.
        classes: see `genspot.data.settings.TrainingSet`, as of `labels` and `offer`.
        labels: names of the label folders.
        offer: what to do where something is missing; "": what `HINT` says.

    Raises:
        GenspotError: there is no packed copy, it lacks a label folder or an image, it is damaged,
            may not be read, or the folder changed since.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    found, outside = find_sources(root, generator, classes, labels)
    has_files = any(images is not None for _, images in found)
    listed, folders = [], []
    try:
        for source, images in found:
            place = os.path.relpath(source.path, root)
            entry = _open_folder(source.path, copy, place, images)
            paths = join_paths(source.path, entry.names)
            ids = images.file_ids if images else np.array([], np.int64)
            if has_files and images is None:  # one for each image, or for none
                ids = np.array([file_id(path) for path in paths.to_pylist()], np.int64)
            listed.append(FolderImages(source, paths, entry.left_out_of(source.path), ids))
            folders.append((copy / place, len(entry.names)))
    except PermissionError as error:
        raise GenspotError(f"{error.filename} cannot be read: {error.strerror}") from None
    except GenspotError as error:
        hint = f". {offer}" if offer else f"; {HINT.format(generator=generator)}"
        raise GenspotError(f"{error}{hint}") from None
    return make_listing(root, generator, listed, outside), PackedReader(folders)


def _open_folder(source: str, copy: Path, place: str, images: Images | None) -> FolderEntry:
    """Return the index of the label folder `place` of a packed copy.

    Args:
        source: the label folder of the data set.
        copy: root of the packed copy.
        place: of the label folder, relative to both roots.
        images: what `source` holds; None if it is not here.

    Raises:
        GenspotError: it is missing, damaged or of another label folder, a shard is, or the folder
            `source` changed.
        PermissionError: a file may not be read.
    """
    entry = read_entry(copy / place / INDEX_FILE)
    if entry is None:
        raise GenspotError(f"there is no packed copy of {source}")
    if entry.folder != place:
        raise GenspotError(f"{copy / place} is the packed copy of another folder, {entry.folder}")
    if images and (changed := entry.changed_place(source, images)):
        raise GenspotError(f"{changed} changed since it was packed")
    for number, (size, identity) in enumerate(entry.shards):
        check_shard(shard_file(copy / place, number), size, identity)
    return entry
