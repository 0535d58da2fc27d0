"""Writing and checking of single shards."""

from __future__ import annotations

import logging
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
from genspot.data import image_io
from genspot.data.packed.shard import (
    BATCH_IMAGES,
    SHARD_SCHEMA,
    DamagedShardError,
    Shard,
    checksum,
    describe_shard,
)

log = logging.getLogger(__name__)


class ShardJob(NamedTuple):
    """A shard and the images that it must hold."""

    file: Path
    paths: list[str]
    names: list[str]  # the paths relative to the label folder
    folder: str  # the label folder, relative to the root of the data set
    max_megapixels: int  # larger images are unreadable


def _mtime_ns(path: str) -> int:
    """Return the modification time of `path` in nanoseconds; 0 if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def is_current(job: ShardJob) -> bool:
    """Return whether a shard is intact and holds its images as they are now.

    A damaged one is reported.
    """
    try:
        shard = Shard(job.file)
        names, mtimes = (shard.table[name].to_pylist() for name in ("name", "mtime_ns"))
        for position in range(len(shard)):
            shard.image(position)
    except PermissionError as error:
        raise GenspotError(f"{job.file} cannot be read: {error.strerror}") from error
    except Exception:  # damage can raise nearly anything
        log.warning("%s", DamagedShardError(job.file))
        return False
    limit = shard.about.get("max_megapixels")
    same_limit = limit == str(job.max_megapixels) or not shard.unreadable
    same_folder = shard.about.get("folder") == job.folder and "id" in shard.about
    same_images = names == job.names and mtimes == [_mtime_ns(path) for path in job.paths]
    return same_folder and same_limit and same_images


def write_shard(job: ShardJob, threads: ThreadPoolExecutor, progress: tqdm) -> None:
    """Write and verify one shard."""
    about = describe_shard(job.folder, job.max_megapixels)
    schema = SHARD_SCHEMA.with_metadata(SHARD_SCHEMA.metadata | about)
    read = partial(_read, max_megapixels=job.max_megapixels)
    with atomic_write(job.file) as unfinished:
        with (
            pa.OSFile(str(unfinished), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            for start in range(0, len(job.paths), BATCH_IMAGES):
                part = slice(start, start + BATCH_IMAGES)
                paths = job.paths[part]
                mtimes = [_mtime_ns(path) for path in paths]  # before the files are read
                images = list(threads.map(read, paths))
                batch = _record_batch(job.names[part], mtimes, images)
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
                progress.update(len(paths))
        _verify(unfinished, job, threads)


def _record_batch(
    names: list[str], mtimes: list[int], images: list[np.ndarray | str]
) -> pa.RecordBatch:
    rows = [
        (name, mtime_ns, None, None, None, zlib.crc32(image.encode()), image)
        if isinstance(image, str)
        else (
            name,
            mtime_ns,
            *image.shape[:2],
            image.tobytes(),
            checksum(np.ascontiguousarray(image)),
            None,
        )
        for name, mtime_ns, image in zip(names, mtimes, images, strict=True)
    ]
    columns = zip(SHARD_SCHEMA, zip(*rows, strict=True), strict=True)
    arrays = [pa.array(values, field.type) for field, values in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=SHARD_SCHEMA)


def _read(path: str, max_megapixels: int) -> np.ndarray | str:
    """Return the image at `path`, or why it cannot be read."""
    try:
        return image_io.read(path, max_megapixels)
    except Exception as error:  # a broken file can raise nearly anything
        return image_io.describe_error(error)


def _read_reference(path: str, max_megapixels: int) -> np.ndarray | str:
    """Return the same as `_read`, but decoded by PIL.

    PIL refuses a few damaged files that are decodable otherwise; those are read again.
    """
    try:
        if os.path.isfile(path):
            return image_io.read_with_pil(path, max_megapixels)
    except Exception:  # as `_read` reports it
        pass
    return _read(path, max_megapixels)


def _verify(file: Path, job: ShardJob, threads: ThreadPoolExecutor) -> None:
    """Raise if the images in `file` differ from their source.

    Raises:
        GenspotError: naming the first image that differs.
    """
    shard = Shard(file)
    read = partial(_read_reference, max_megapixels=job.max_megapixels)
    for position, expected in enumerate(threads.map(read, job.paths)):
        packed = shard.image(position)
        if type(packed) is not type(expected) or not np.array_equal(packed, expected):
            raise GenspotError(
                f"{job.paths[position]}: the packed copy differs from the source; was the file "
                "changed while it was packed? Pack again"
            )
