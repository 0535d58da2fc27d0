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
from genspot.data.layout import first_of, label_folders
from genspot.data.packed.index import make_entry, write_entry
from genspot.data.packed.reader import (
    BATCH_IMAGES,
    INDEX_FILE,
    SHARD_IMAGES,
    SHARD_SCHEMA,
    DamagedShardError,
    Shard,
    checksum,
    packed_folder,
    shard_file,
)
from genspot.data.settings import Classes
from genspot.data.walk import Images, find_images, join_paths, utf8_path

log = logging.getLogger(__name__)

HEADERS = 1000  # image headers read to estimate the size of a packed copy


class ShardJob(NamedTuple):
    """A shard and the images that it must hold."""

    file: Path
    paths: list[str]
    names: list[str]  # the paths relative to the label folder


class FolderJob(NamedTuple):
    """A label folder and its shards."""

    source: str
    images: Images
    packed: Path
    shards: list[ShardJob]


def pack(folder: str | Path, generator: str, classes: Classes) -> None:
    """Write or complete the packed copy of `folder`.

    Each new shard is written to a temporary file, read back, compared with the source as PIL
    decodes it, and only then renamed. Shards that exist are checked, and written anew where they
    are damaged or their images changed. An interrupted pack continues with the first missing one.

    Raises:
        GenspotError: the folder holds no image, its name is not UTF-8, the disk has no space, or
            the packed images differ from the source.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    jobs = _plan(root, copy, generator, classes)
    total = sum(len(shard.paths) for job in jobs for shard in job.shards)
    copy.mkdir(parents=True, exist_ok=True)
    with FileLock(copy / ".lock"), ThreadPoolExecutor() as threads:
        to_write = _shards_to_write(jobs, threads)
        paths = [
            path
            for job in jobs
            for shard in job.shards
            if shard.file in to_write
            for path in shard.paths
        ]
        check_space(copy, paths, total, threads)
        unreadable = 0
        with tqdm(
            total=len(paths), desc=f"packing {Path(root).name}", unit="image", disable=not paths
        ) as progress:
            for job in jobs:
                unreadable += _pack_folder(job, to_write, threads, progress)
    log.info("%s holds %d images, %d of them unreadable; verified", copy, total, unreadable)


def _plan(root: str, copy: Path, generator: str, classes: Classes) -> list[FolderJob]:
    """Return the label folders below `root` and their shards.

    Raises:
        GenspotError: there is no image, or the name of a label folder is not UTF-8.
    """
    sources, left_out = label_folders(root, generator, classes)
    jobs = []
    for source in sources:
        packed = copy / os.path.relpath(source.path, root)
        if utf8_path(packed) != str(packed):
            raise GenspotError(
                f"{utf8_path(packed)}: a packed copy needs folders with names in UTF-8; rename it"
            )
        images = find_images(source.path)
        left_out += images.left_out
        names = images.names()
        paths = join_paths(source.path, names)
        shards = [
            ShardJob(
                shard_file(packed, start // SHARD_IMAGES),
                paths.slice(start, SHARD_IMAGES).to_pylist(),
                names.slice(start, SHARD_IMAGES).to_pylist(),
            )
            for start in range(0, len(names), SHARD_IMAGES)
        ]
        jobs.append(FolderJob(source.path, images, packed, shards))
    if not any(job.shards for job in jobs):
        raise GenspotError(f"{generator}: no images below {utf8_path(root)}{first_of(left_out)}")
    if left_out:
        log.warning("%s: not everything is packed%s", utf8_path(root), first_of(left_out))
    return jobs


def _shards_to_write(jobs: list[FolderJob], threads: ThreadPoolExecutor) -> set[Path]:
    """Return the shards that are missing, damaged, or lack a change of their source."""
    shards = [shard for job in jobs for shard in job.shards if shard.file.exists()]
    title = "checking what is packed"
    current = list(tqdm(threads.map(is_current, shards), title, len(shards), unit="file", delay=2))
    missing = {shard.file for job in jobs for shard in job.shards if not shard.file.exists()}
    return missing | {shard.file for shard, good in zip(shards, current, strict=True) if not good}


def _pack_folder(
    job: FolderJob, to_write: set[Path], threads: ThreadPoolExecutor, progress: tqdm
) -> int:
    """Write the shards of a label folder that are in `to_write`, and its index.

    Returns:
        The number of unreadable images.
    """
    job.packed.mkdir(parents=True, exist_ok=True)
    index = job.packed / INDEX_FILE
    own = [shard for shard in job.shards if shard.file in to_write]
    if own:  # a folder without an index is incomplete, and not read
        index.unlink(missing_ok=True)
    for shard in own:
        _write_shard(shard, threads, progress)
    files = [shard.file for shard in job.shards]
    sizes = [file.stat().st_size for file in files]
    write_entry(index, make_entry(job.source, job.images, sizes))
    _remove_others(job.packed, {index, *files})
    return sum(Shard(file).unreadable for file in files)


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
    """Return whether a shard is intact and holds its images as they are now.

    A damaged one is reported.
    """
    try:
        shard = Shard(job.file)
        names, mtimes = (shard.table[name].to_pylist() for name in ("name", "mtime_ns"))
        for position in range(len(shard)):
            shard.image(position)
    except DamagedShardError as error:
        log.warning("%s", error)
        return False
    return names == job.names and mtimes == [_mtime_ns(path) for path in job.paths]


def _write_shard(job: ShardJob, threads: ThreadPoolExecutor, progress: tqdm) -> None:
    """Write and verify one shard."""
    with atomic_write(job.file) as partial:
        with (
            pa.OSFile(str(partial), "wb") as sink,
            pa.ipc.new_file(sink, SHARD_SCHEMA) as writer,
        ):
            for start in range(0, len(job.paths), BATCH_IMAGES):
                part = slice(start, start + BATCH_IMAGES)
                paths = job.paths[part]
                mtimes = [_mtime_ns(path) for path in paths]  # before the files are read
                images = list(threads.map(_read, paths))
                writer.write_batch(_record_batch(job.names[part], mtimes, images))
                progress.update(len(paths))
        _verify(partial, job.paths, threads)


def _record_batch(
    names: list[str], mtimes: list[int], images: list[np.ndarray | str]
) -> pa.RecordBatch:
    rows = [
        (name, mtime_ns, None, None, None, None, image)
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
