"""Writing of packed copies; `genspot.data.packed.reader` describes and reads them."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from filelock import FileLock
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
from genspot.data import image_io
from genspot.data.layout import label_folders, utf8_path
from genspot.data.packed.index import list_folder, write_entry
from genspot.data.packed.reader import (
    BATCH_IMAGES,
    INDEX_FILE,
    SHARD_IMAGES,
    SHARD_SCHEMA,
    Shard,
    packed_folder,
    shard_file,
)
from genspot.data.settings import Classes

log = logging.getLogger(__name__)

HEADERS = 1000  # image headers read to estimate the size of a packed copy


class ShardJob(NamedTuple):
    """A shard and the images that it must hold."""

    file: Path
    paths: list[str]


def pack(folder: str | Path, generator: str, classes: Classes) -> None:
    """Write or complete the packed copy of `folder`.

    Each new shard is written to a temporary file, read back, compared with the source as PIL
    decodes it, and only then renamed. An interrupted pack continues with the first missing shard.

    Raises:
        GenspotError: the folder cannot be listed, its name is not UTF-8, the disk has no space,
            or the packed images differ from the source.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    sources = label_folders(root, generator, classes)
    packed_folders = [copy / os.path.relpath(source.path, root) for source in sources]
    for packed in packed_folders:
        if utf8_path(packed) != str(packed):
            raise GenspotError(
                f"{utf8_path(packed)}: a packed copy needs folders with names in UTF-8; rename it"
            )
    copy.mkdir(parents=True, exist_ok=True)
    entries = [list_folder(source) for source in sources]
    with FileLock(copy / ".lock"), ThreadPoolExecutor() as threads:
        jobs = [
            [
                ShardJob(
                    shard_file(packed, start // SHARD_IMAGES),
                    entry.paths.slice(start, SHARD_IMAGES).to_pylist(),
                )
                for start in range(0, len(entry.paths), SHARD_IMAGES)
            ]
            for packed, entry in zip(packed_folders, entries, strict=True)
        ]
        missing = [[job for job in of_folder if not is_current(job)] for of_folder in jobs]
        paths = [path for of_folder in missing for job in of_folder for path in job.paths]
        total = sum(len(entry.paths) for entry in entries)
        check_space(copy, paths, total, threads)
        with tqdm(
            total=len(paths), desc=f"packing {Path(root).name}", unit="image", disable=not paths
        ) as progress:
            for source, packed, entry, of_folder, to_write in zip(
                sources, packed_folders, entries, jobs, missing, strict=True
            ):
                packed.mkdir(parents=True, exist_ok=True)
                if to_write:  # a folder without an index is incomplete, and not read
                    (packed / INDEX_FILE).unlink(missing_ok=True)
                for job in to_write:
                    _write_shard(job, threads, progress)
                write_entry(packed / INDEX_FILE, source.path, entry)
                _remove_others(packed, {packed / INDEX_FILE, *(job.file for job in of_folder)})
    log.info("%s holds %d images, verified", copy, total)


def _remove_others(folder: Path, files: set[Path]) -> None:
    """Remove what is in `folder` besides `files`: shards of removed images, temporary files."""
    for file in folder.glob("*"):
        if file not in files and file.is_file():
            file.unlink()


def check_space(copy: Path, paths: list[str], total: int, threads: ThreadPoolExecutor) -> None:
    """Log how much space the images at `paths` will take in the copy, and raise if it is missing.

    The size is estimated from the headers of some of the images.

    Raises:
        GenspotError: the disk has less space than that.
    """
    sample = paths[:: max(1, len(paths) // HEADERS)]
    size = sum(threads.map(_decoded_size, sample)) * len(paths) / max(1, len(sample))
    free = shutil.disk_usage(copy).free
    log.info(
        "%s: %d of %d images to pack, about %.3f GB; %.1f GB free",
        copy,
        len(paths),
        total,
        size / 1e9,
        free / 1e9,
    )
    if size > 0.99 * free:
        raise GenspotError(
            f"{copy} needs {size / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free; make "
            "room, or put the data set on another disk (paths.train, paths.val)"
        )


def _decoded_size(path: str) -> int:
    """Return the number of bytes of a decoded image; 0 if its header cannot be read."""
    try:
        with image_io.open_image(path) as image:
            return 3 * image.width * image.height
    except Exception:  # reported when the image is packed
        return 0


def _mtime_ns(path: str) -> int:
    """Return the modification time of `path` in nanoseconds; 0 if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def is_current(job: ShardJob) -> bool:
    """Return whether a shard exists and holds its images as they are now."""
    try:
        table = Shard(job.file).table
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return False
    return bool(
        table.schema.equals(SHARD_SCHEMA, check_metadata=True)
        and table["name"].to_pylist() == [os.path.basename(path) for path in job.paths]
        and table["mtime_ns"].to_pylist() == [_mtime_ns(path) for path in job.paths]
    )


def _write_shard(job: ShardJob, threads: ThreadPoolExecutor, progress: tqdm) -> None:
    """Write and verify one shard."""
    with atomic_write(job.file) as partial:
        with (
            pa.OSFile(str(partial), "wb") as sink,
            pa.ipc.new_file(sink, SHARD_SCHEMA) as writer,
        ):
            for start in range(0, len(job.paths), BATCH_IMAGES):
                paths = job.paths[start : start + BATCH_IMAGES]
                mtimes = [_mtime_ns(path) for path in paths]  # before the files are read
                writer.write_batch(_record_batch(paths, mtimes, list(threads.map(_read, paths))))
                progress.update(len(paths))
        _verify(partial, job.paths, threads)


def _record_batch(
    paths: list[str], mtimes: list[int], images: list[np.ndarray | str]
) -> pa.RecordBatch:
    rows = [
        (os.path.basename(path), mtime_ns, None, None, None, image)
        if isinstance(image, str)
        else (os.path.basename(path), mtime_ns, *image.shape[:2], image.tobytes(), None)
        for path, mtime_ns, image in zip(paths, mtimes, images, strict=True)
    ]
    columns = zip(SHARD_SCHEMA, zip(*rows, strict=True), strict=True)
    arrays = [pa.array(values, field.type) for field, values in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=SHARD_SCHEMA)


def _read(path: str) -> np.ndarray | str:
    """Return the image at `path`, or why it cannot be read."""
    try:
        return image_io.read(path)
    except Exception as error:  # a broken file can raise nearly anything
        return image_io.describe_error(error)


def _read_reference(path: str) -> np.ndarray | str:
    """Return the same as `_read`, but decoded by PIL.

    PIL refuses a few damaged files that are decodable otherwise; those are read again.
    """
    try:
        return image_io.read_with_pil(path) if os.path.isfile(path) else _read(path)
    except Exception:
        return _read(path)


def _verify(file: Path, paths: list[str], threads: ThreadPoolExecutor) -> None:
    """Raise if the images in `file` differ from their source.

    Raises:
        GenspotError: naming the first image that differs.
    """
    shard = Shard(file)
    for position, expected in enumerate(threads.map(_read_reference, paths)):
        packed = shard.image(position)
        if type(packed) is not type(expected) or not np.array_equal(packed, expected):
            raise GenspotError(
                f"{paths[position]}: the packed copy differs from the source; was the file "
                "changed while it was packed? Pack again"
            )
