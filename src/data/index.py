"""The images of each label folder, listed once and cached in Arrow files.

Beside the root `train/` of a data set lies `.train.index/`, with one file per label folder
(`0_real/`, `1_fake/`). A folder is listed again when it has changed. The files are mapped into
memory: opening ten million paths takes no longer than opening a thousand, and all processes of a
machine share the pages.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
from filelock import FileLock

from genspot.common.files import atomic_write
from genspot.data.image_io import describe_error
from genspot.data.layout import SAMPLE_SCHEMA, LabelFolder, label_folders, list_images, utf8_path
from genspot.data.settings import Classes

log = logging.getLogger(__name__)

# A folder that was listed this shortly after its last change may change again without a new
# modification time: file systems store it with a granularity of up to 2 s.
MTIME_GRANULARITY_NS = 2_000_000_000
PATH_SCHEMA = pa.schema([SAMPLE_SCHEMA.field("path")])


@dataclass(frozen=True)
class FolderEntry:
    """The images of one label folder, as they were listed."""

    mtime_ns: int  # modification time of the folder before it was listed
    listed_ns: int  # time of the listing
    paths: pa.ChunkedArray

    def is_current(self, folder: str) -> bool:
        """Return whether `folder` is unchanged since it was listed."""
        settled = self.listed_ns - self.mtime_ns > MTIME_GRANULARITY_NS
        return settled and os.stat(folder).st_mtime_ns == self.mtime_ns


def load_samples(folder: str | Path, generator: str, classes: Classes) -> pa.Table:
    """Return the table of samples below `folder`; see `genspot.data.layout.label_folders`.

    Raises:
        GenspotError: a folder is missing or cannot be listed.
    """
    root = os.path.abspath(folder)
    folders = label_folders(root, generator, classes)
    return join_samples(folders, [entry.paths for entry in load_entries(root, folders)], generator)


def join_samples(
    folders: list[LabelFolder], paths: list[pa.ChunkedArray], generator: str
) -> pa.Table:
    """Return the table of samples of label folders with these images."""
    rows = [len(chunk) for chunk in paths]
    class_names = list(dict.fromkeys(folder.class_name for folder in folders))
    codes = [class_names.index(folder.class_name) for folder in folders]
    columns = [
        pa.chunked_array([chunk for part in paths for chunk in part.chunks], pa.large_string()),
        pa.DictionaryArray.from_arrays(np.zeros(sum(rows), np.int32), pa.array([generator])),
        pa.DictionaryArray.from_arrays(
            np.repeat(np.array(codes, np.int32), rows), pa.array(class_names, pa.string())
        ),
        np.repeat(np.array([folder.label for folder in folders], np.int8), rows),
    ]
    return pa.table(columns, schema=SAMPLE_SCHEMA)


def load_entries(root: str, folders: list[LabelFolder]) -> list[FolderEntry]:
    """Return the entries of label folders below `root`, from the cache where it is current."""
    for cache in cache_folders(root):
        try:
            if stale_folders(cache, root, folders):
                cache.mkdir(parents=True, exist_ok=True)
                with FileLock(cache / ".lock"):
                    # Checked again: another process may have updated the cache in the meantime.
                    for folder in stale_folders(cache, root, folders):
                        file = cache_file(cache, root, folder)
                        write_entry(file, folder.path, list_folder(folder))
        except (OSError, UnicodeError) as error:  # Arrow opens no path that is not UTF-8
            log.info("no index in %s (%s)", utf8_path(cache), describe_error(error))
            continue
        found = [read_entry(cache_file(cache, root, folder), folder.path) for folder in folders]
        entries = [entry for entry in found if entry is not None]
        if len(entries) == len(folders):
            return entries
    return [list_folder(folder) for folder in folders]


def stale_folders(cache: Path, root: str, folders: list[LabelFolder]) -> list[LabelFolder]:
    """Return the label folders that `cache` lacks, or that changed since they were listed."""
    return [
        folder
        for folder in folders
        if (entry := read_entry(cache_file(cache, root, folder), folder.path)) is None
        or not entry.is_current(folder.path)
    ]


def list_folder(folder: LabelFolder) -> FolderEntry:
    """Return the entry of a label folder as it is now."""
    listed_ns, mtime_ns = time.time_ns(), os.stat(folder.path).st_mtime_ns
    paths = pa.chunked_array([list_images(folder.path)], pa.large_string())
    return FolderEntry(mtime_ns, listed_ns, paths)


def cache_folders(root: str) -> list[Path]:
    """Return where the index of `root` may be: beside it, or if that is not writable, in the
    system's folder of temporary files."""
    parent, name = os.path.split(root)
    owner = os.getuid() if hasattr(os, "getuid") else 0
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return [Path(parent, f".{name}.index"), Path(tempfile.gettempdir(), f"genspot-{owner}", key)]


def cache_file(cache: Path, root: str, folder: LabelFolder) -> Path:
    """Return the file in `cache` that lists `folder`, a label folder below `root`."""
    return cache / f"{os.path.relpath(folder.path, root)}.arrow"


def read_entry(file: Path, folder: str) -> FolderEntry | None:
    """Return the entry of `folder` stored in `file`; None if there is no intact one.

    The paths are mapped into memory. If the data set was moved, its paths are rewritten.
    """
    try:
        with pa.ipc.open_file(pa.memory_map(str(file))) as reader:
            table = reader.read_all()
        metadata = table.schema.metadata
        former = metadata[b"folder"].decode()
        mtime_ns, listed_ns = int(metadata[b"mtime_ns"]), int(metadata[b"listed_ns"])
        if not table.schema.equals(PATH_SCHEMA):
            return None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    paths = table["path"]
    if former != utf8_path(folder):
        names = pa.compute.utf8_slice_codeunits(paths, len(former))
        prefix = pa.scalar(utf8_path(folder), pa.large_string())
        separator = pa.scalar("", pa.large_string())
        paths = pa.compute.binary_join_element_wise(prefix, names, separator)
    return FolderEntry(mtime_ns, listed_ns, paths)


def write_entry(file: Path, folder: str, entry: FolderEntry) -> None:
    """Store the entry of `folder` in `file`."""
    metadata = {
        "folder": utf8_path(folder),
        "mtime_ns": str(entry.mtime_ns),
        "listed_ns": str(entry.listed_ns),
    }
    table = pa.table([entry.paths], schema=PATH_SCHEMA.with_metadata(metadata))
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(file) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
