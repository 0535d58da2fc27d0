"""The index of a packed label folder: its images, and whether the source has changed.

It is an Arrow file within gzip, whose checksum tells when the index is damaged.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
from genspot.data.walk import Images, LeftOut

NAME_SCHEMA = pa.schema([("name", pa.large_string())])
VERSION = 2


@dataclass(frozen=True)
class FolderEntry:
    """The images of one label folder, as they were listed. All paths are relative to it."""

    names: pa.Array  # paths of the images
    left_out: list[LeftOut]
    folders: dict[str, tuple[int, int]]  # modification time before it was listed, and its images
    shards: list[int]  # sizes of the shards in bytes

    def left_out_of(self, source: str) -> list[LeftOut]:
        """Return what is left out, with its paths in the label folder `source`."""
        return [(os.path.join(source, path), reason) for path, reason in self.left_out]

    def real_folders(self, source: str) -> set[str]:
        """Return the real paths of the folders below `source` that hold images."""
        used = (folder for folder, (_, images) in self.folders.items() if images)
        return {os.path.realpath(os.path.join(source, folder)) for folder in used}

    def changed_folder(self, source: str) -> str | None:
        """Return a folder of the source that has changed; None if there is none."""
        for folder, (mtime_ns, _) in self.folders.items():
            path = os.path.join(source, folder) if folder else source
            try:
                if os.stat(path).st_mtime_ns != mtime_ns:
                    return path
            except OSError:
                return path
        return None


def make_entry(source: str, images: Images, shards: list[int]) -> FolderEntry:
    """Return the entry of the label folder `source` with these images and sizes of shards."""
    start = len(os.path.join(source, ""))
    return FolderEntry(
        images.names(),
        [(path[start:], reason) for path, reason in images.left_out],
        {one.path[start:]: (one.mtime_ns, len(one.images)) for one in images.folders},
        shards,
    )


def read_entry(file: Path) -> FolderEntry | None:
    """Return the entry stored in `file`; None if there is no such file.

    Raises:
        GenspotError: the file is damaged, or of an earlier version.
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
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, pa.ArrowException):
        raise GenspotError(f"{file} is damaged or of an earlier version") from None


def _with_tuples(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of an index with tuples where JSON has lists."""
    left_out = [tuple(pair) for pair in content["left_out"]]
    folders = {folder: tuple(pair) for folder, pair in content["folders"].items()}
    return content | {"left_out": left_out, "folders": folders}


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
