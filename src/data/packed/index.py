"""The index of a packed label folder: its images, and whether the source has changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute

from genspot.common.files import atomic_write
from genspot.data.layout import LabelFolder, list_images, utf8_path

PATH_SCHEMA = pa.schema([("path", pa.large_string())])


@dataclass(frozen=True)
class FolderEntry:
    """The images of one label folder, as they were listed."""

    mtime_ns: int  # modification time of the folder before it was listed
    paths: pa.Array


def list_folder(folder: LabelFolder) -> FolderEntry:
    """Return the entry of a label folder of the source as it is now."""
    mtime_ns = os.stat(folder.path).st_mtime_ns
    return FolderEntry(mtime_ns, pa.array(list_images(folder.path), pa.large_string()))


def read_entry(file: Path, folder: str) -> FolderEntry | None:
    """Return the entry of `folder` stored in `file`; None if there is no intact one.

    If the data set was moved, its paths are rewritten.
    """
    try:
        with pa.ipc.open_file(pa.memory_map(str(file))) as reader:
            table = reader.read_all()
        metadata = table.schema.metadata
        former, mtime_ns = metadata[b"folder"].decode(), int(metadata[b"mtime_ns"])
        if not table.schema.equals(PATH_SCHEMA):
            return None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    paths = table["path"].combine_chunks()
    if former != utf8_path(folder):
        names = pa.compute.utf8_slice_codeunits(paths, len(former))
        prefix = pa.scalar(utf8_path(folder), pa.large_string())
        separator = pa.scalar("", pa.large_string())
        paths = pa.compute.binary_join_element_wise(prefix, names, separator)
    return FolderEntry(mtime_ns, paths)


def write_entry(file: Path, folder: str, entry: FolderEntry) -> None:
    """Store the entry of `folder` in `file`."""
    metadata = {"folder": utf8_path(folder), "mtime_ns": str(entry.mtime_ns)}
    table = pa.table([entry.paths], schema=PATH_SCHEMA.with_metadata(metadata))
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(file) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
