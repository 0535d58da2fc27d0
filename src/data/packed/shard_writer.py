"""Writing and checking of single shards."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

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
    file_checksums,
)

log = logging.getLogger(__name__)


class ShardJob(NamedTuple):
    """A shard and the images that it must hold."""

    file: Path
    paths: list[str]  # of the image files; [] where they are not here
    names: list[str]  # the paths relative to the label folder
    folder: str  # the label folder, relative to the root of the data set
    max_megapixels: int  # larger images are unreadable
    checksums: list[int] | None = None  # CRC-32 of the files, if they are members of an archive


def _mtime_ns(path: str) -> int:
    """Return the modification time of `path` in nanoseconds; 0 if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _file_checksum(path: str) -> int:
    """Return the CRC-32 of a file; -1 if it cannot be read."""
    try:
        return zlib.crc32(Path(path).read_bytes()) if os.path.isfile(path) else -1
    except OSError:
        return -1


def is_current(job: ShardJob) -> bool:
    """Return whether a shard is intact and holds its images as they are now.

    A damaged one is reported.
    """
    try:
        shard = Shard(job.file)
        names = shard.table["name"].to_pylist()
        same_files = _has_files_of(shard, job)
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
    return same_folder and same_limit and names == job.names and same_files


def _has_files_of(shard: Shard, job: ShardJob) -> bool:
    """Return whether the images were packed from the files of the job, as far as these are here.

    Files are known by their modification times, members of an archive by their CRC-32.
    """
    packed = file_checksums(shard.about)
    if job.checksums is not None:
        return packed == job.checksums
    if not job.paths:
        return True
    if packed is not None:
        return packed == [_file_checksum(path) for path in job.paths]
    mtimes: list[int] = shard.table["mtime_ns"].to_pylist()
    return mtimes == [_mtime_ns(path) for path in job.paths]


def write_shard(
    job: ShardJob,
    threads: ThreadPoolExecutor,
    count: Callable[[int], object],
    contents: Iterator[bytes] | None = None,
) -> None:
    """Write and verify one shard.

    Args:
        job: the shard.
        threads: that decode.
        count: gets the number of images of each part that is written.
        contents: the image files, in order, where they are members of an archive.

    Raises:
        GenspotError: an image differs from its source as PIL decodes it, or the disk gives back
            something else than what was written.
    """
    about = describe_shard(job.folder, job.max_megapixels, job.checksums)
    schema = SHARD_SCHEMA.with_metadata(SHARD_SCHEMA.metadata | about)
    checksums: list[int] = []
    with atomic_write(job.file) as unfinished:
        with (
            pa.OSFile(str(unfinished), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            for start in range(0, len(job.paths), BATCH_IMAGES):
                part = slice(start, start + BATCH_IMAGES)
                batch = _pack_batch(job, part, threads, contents)
                checksums += batch["crc32"].to_pylist()
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
                count(batch.num_rows)
        _verify(unfinished, checksums, threads)


def _pack_batch(
    job: ShardJob,
    part: slice,
    threads: ThreadPoolExecutor,
    contents: Iterator[bytes] | None,
) -> pa.RecordBatch:
    """Return the images of a part of a shard, decoded twice and compared; see `write_shard`."""
    paths = job.paths[part]
    files: Sequence[bytes | None] = [None] * len(paths)
    mtimes = [0] * len(paths)
    if contents is None:
        mtimes = [_mtime_ns(path) for path in paths]  # before the files are read
    else:
        files = list(islice(contents, len(paths)))
    read, read_again = (
        partial(function, max_megapixels=job.max_megapixels)
        for function in (_read, _read_reference)
    )
    images = list(threads.map(read, paths, files))
    for path, image, expected in zip(
        paths, images, threads.map(read_again, paths, files), strict=True
    ):
        if type(image) is not type(expected) or not np.array_equal(image, expected):
            raise GenspotError(
                f"{path}: the packed copy differs from the source; was the file changed while "
                "it was packed? Pack again"
            )
    return _record_batch(job.names[part], mtimes, images)


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


def _read(path: str, content: bytes | None, max_megapixels: int) -> np.ndarray | str:
    """Return the image at `path`, whose file holds `content`, or why it cannot be read.

    The file is read where `content` is None.
    """
    try:
        if content is None:
            return image_io.read(path, max_megapixels)
        return image_io.read_bytes(path, content, max_megapixels)
    except Exception as error:  # a broken file can raise nearly anything
        return image_io.describe_error(error)


def _read_reference(path: str, content: bytes | None, max_megapixels: int) -> np.ndarray | str:
    """Return the same as `_read`, but decoded by PIL.

    PIL refuses a few damaged files that are decodable otherwise; those are read again.
    """
    try:
        if content is not None:
            return image_io.read_bytes(path, content, max_megapixels, with_pil=True)
        if os.path.isfile(path):
            return image_io.read_with_pil(path, max_megapixels)
    except Exception:  # as `_read` reports it
        pass
    return _read(path, content, max_megapixels)


def _verify(file: Path, checksums: list[int], threads: ThreadPoolExecutor) -> None:
    """Raise GenspotError if `file` does not hold images with these checksums."""
    try:
        shard = Shard(file)
        for _ in threads.map(shard.image, range(len(checksums))):
            pass
        same = shard.checksums.tolist() == checksums
    except DamagedShardError:
        same = False
    if not same:
        raise GenspotError(
            f"{file} does not hold what was written to it; check the disk, and pack again"
        )
