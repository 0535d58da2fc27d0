"""The index of a packed label folder: its images, and whether the source has changed.

It is an Arrow file within gzip, whose checksum tells when the index is damaged. A list at the root
of the copy names the label folders that it must have.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write, read_json, write_json
from genspot.data.packed.shard import SHARD_IMAGES
from genspot.data.walk import PACKED_LIST, Images, LeftOut

INDEX_FILE = "index.arrow.gz"
NAME_SCHEMA = pa.schema([("name", pa.large_string())])
VERSION = 3


@dataclass(frozen=True)
class FolderEntry:
    """The images of one label folder, as they were listed. All paths are relative to it."""

    folder: str  # the label folder, relative to the root of the data set
    names: pa.Array  # paths of the images
    sizes: list[int]  # in bytes, of the first file of each shard
    left_out: list[LeftOut]
    # Modification time before it was listed, and its images. Empty where the images are members of
    # an archive, which were never listed.
    folders: dict[str, tuple[int, int]]
    shards: list[tuple[int, str]]  # sizes of the shards in bytes, and their ids

    @property
    def is_of_archive(self) -> bool:
        """Whether the images are members of an archive, which need not be files here."""
        return not self.folders

    def with_shards(self, shards: list[tuple[int, str]]) -> FolderEntry:
        """Return the same entry with these sizes and ids of shards."""
        return replace(self, shards=shards)

    def left_out_of(self, source: str) -> list[LeftOut]:
        """Return what is left out, with its paths in the label folder `source`."""
        return [(os.path.join(source, path), reason) for path, reason in self.left_out]

    def changed_place(self, source: str, images: Images) -> str | None:
        """Return a folder or file of the source that has changed; None if there is none.

        Args:
            source: the label folder.
            images: what it holds now.
        """
        now = make_entry(self.folder, source, images, self.shards)
        for place in () if self.is_of_archive else now.folders | self.folders:
            if now.folders.get(place) != self.folders.get(place):
                return os.path.join(source, place) if place else source
        return source if (now.names, now.sizes) != (self.names, self.sizes) else None


def make_entry(
    folder: str, source: str, images: Images, shards: list[tuple[int, str]]
) -> FolderEntry:
    """Return the entry of the label folder at `source` with these images and shards."""
    start = len(os.path.join(source, ""))
    names = images.names
    firsts = [names[row].as_py() for row in range(0, len(names), SHARD_IMAGES)]
    return FolderEntry(
        folder,
        names,
        [_size(os.path.join(source, name)) for name in firsts],
        [(path[start:], reason) for path, reason in images.left_out],
        {one.path[start:]: (one.mtime_ns, len(one.images)) for one in images.folders},
        shards,
    )


def _size(path: str) -> int:
    """Return the size of a file in bytes; -1 if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def read_entry(file: Path) -> FolderEntry | None:
    """Return the entry stored in `file`; None if there is no such file.

    Raises:
        GenspotError: the file is damaged, or of an earlier version.
        PermissionError: it may not be read.
    """
    try:
        with gzip.open(file) as stream, pa.ipc.open_stream(stream.read()) as reader:
            table = reader.read_all()
        content = json.loads(table.schema.metadata[b"entry"])
        if content.pop("version") != VERSION:
            raise ValueError("another version")
        return FolderEntry(names=table["name"].combine_chunks(), **_with_tuples(content))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except Exception:  # a damaged file can raise nearly anything
        raise GenspotError(f"{file} is damaged or of an earlier version") from None


def _with_tuples(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of an index with tuples where JSON has lists."""
    left_out = [tuple(pair) for pair in content["left_out"]]
    folders = {folder: tuple(pair) for folder, pair in content["folders"].items()}
    shards = [tuple(pair) for pair in content["shards"]]
    return content | {"left_out": left_out, "folders": folders, "shards": shards}


def write_entry(file: Path, entry: FolderEntry) -> None:
    """Store `entry` in `file`."""
    content = dict(vars(entry))
    table = pa.table([content.pop("names")], schema=NAME_SCHEMA)
    metadata = {"entry": json.dumps(content | {"version": VERSION})}
    table = table.replace_schema_metadata(metadata)
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(file) as partial,
        gzip.open(partial, "wb", compresslevel=1) as stream,
        pa.ipc.new_stream(stream, table.schema) as writer,
    ):
        writer.write_table(table)


def read_label_folders(copy: Path) -> list[str]:
    """Return the label folders that a packed copy must have, relative to it; none without a list.

    Raises:
        GenspotError: the list is damaged.
        PermissionError: it may not be read.
    """
    file = copy / PACKED_LIST
    try:
        return [str(Path(folder)) for folder in read_json(file)["label_folders"]]
    except FileNotFoundError:
        return []
    except PermissionError:
        raise
    except Exception:  # a damaged file can raise nearly anything
        raise GenspotError(f"{file} is damaged") from None


def write_label_folders(copy: Path, folders: list[str]) -> None:
    """Store the list of the label folders that a packed copy must have."""
    write_json({"label_folders": folders}, copy / PACKED_LIST)
