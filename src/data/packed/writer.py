"""Writing of packed copies; `genspot.data.packed.reader` describes and reads them."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.data import image_io
from genspot.data.label_folders import find_label_images, first_of
from genspot.data.packed.index import (
    make_entry,
    read_label_folders,
    write_entry,
    write_label_folders,
)
from genspot.data.packed.reader import INDEX_FILE, packed_folder
from genspot.data.packed.shard import SHARD_IMAGES, Shard, shard_file
from genspot.data.packed.shard_writer import ShardJob, is_current, write_shard
from genspot.data.settings import DEFAULT_LABELS, MAX_MEGAPIXELS, Classes, Labels
from genspot.data.walk import Images, join_paths

log = logging.getLogger(__name__)

HEADERS = 1000  # image headers read to estimate the size of a packed copy


class FolderJob(NamedTuple):
    """A label folder and its shards."""

    folder: str  # relative to the root of the data set
    source: str
    images: Images
    packed: Path
    shards: list[ShardJob]


def pack(
    folder: str | Path,
    generator: str,
    classes: Classes,
    max_megapixels: int = MAX_MEGAPIXELS,
    labels: Labels = DEFAULT_LABELS,
) -> None:
    """Write or complete the packed copy of `folder`; larger images are unreadable.

    Each new shard is written to a temporary file, read back, compared with the source as PIL
    decodes it, and only then renamed. Shards that exist are checked, and written again where they
    are damaged or their images changed. An interrupted pack continues with the first missing one.

    Raises:
        GenspotError: the folder holds no image, the disk has no space, or the packed images
            differ from the source.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    jobs = _plan(root, copy, generator, classes, max_megapixels, labels)
    total = sum(len(shard.paths) for job in jobs for shard in job.shards)
    copy.mkdir(parents=True, exist_ok=True)
    with FileLock(copy / ".lock"), ThreadPoolExecutor() as threads:
        _list_label_folders(copy, [job.folder for job in jobs], classes)
        to_write = _shards_to_write(jobs, threads)
        paths = [
            path
            for job in jobs
            for shard in job.shards
            if shard.file in to_write
            for path in shard.paths
        ]
        check_space(copy, paths, total, threads, max_megapixels)
        unreadable = 0
        with tqdm(
            total=len(paths), desc=f"packing {Path(root).name}", unit="image", disable=not paths
        ) as progress:
            for job in jobs:
                unreadable += _pack_folder(job, to_write, threads, progress)
    log.info("%s holds %d images, %d of them unreadable; verified", copy, total, unreadable)


def _list_label_folders(copy: Path, folders: list[str], classes: Classes) -> None:
    """Store which label folders the copy must have, before they are packed.

    Those of other classes that were packed before remain.
    """
    if classes != "any":
        with suppress(GenspotError):  # a damaged list
            folders = sorted({*folders, *read_label_folders(copy)})
    write_label_folders(copy, folders)


def _plan(
    root: str, copy: Path, generator: str, classes: Classes, max_megapixels: int, labels: Labels
) -> list[FolderJob]:
    """Return the label folders below `root` and their shards.

    Raises:
        GenspotError: there is no image, or see `find_label_images`.
    """
    found, left_out = find_label_images(root, generator, classes, labels)
    if len({source.label for source, _ in found}) == 1:
        raise GenspotError(f"{generator}: {utf8_path(root)} lacks real or fake images")
    jobs = []
    for source, images in found:
        folder = os.path.relpath(source.path, root)
        packed = copy / folder
        left_out += images.left_out
        names = images.names
        paths = join_paths(source.path, names)
        shards = [
            ShardJob(
                shard_file(packed, start // SHARD_IMAGES),
                paths.slice(start, SHARD_IMAGES).to_pylist(),
                names.slice(start, SHARD_IMAGES).to_pylist(),
                folder,
                max_megapixels,
            )
            for start in range(0, len(names), SHARD_IMAGES)
        ]
        jobs.append(FolderJob(folder, source.path, images, packed, shards))
    if not any(job.shards for job in jobs):
        raise GenspotError(f"{generator}: no images below {utf8_path(root)}{first_of(left_out)}")
    if left_out:
        log.warning("%s: not everything is packed%s", utf8_path(root), first_of(left_out))
    return jobs


def _shards_to_write(jobs: list[FolderJob], threads: ThreadPoolExecutor) -> set[Path]:
    """Return the shards that are missing, damaged, or lack a change of their source."""
    shards = [shard for job in jobs for shard in job.shards]
    present = [shard for shard in shards if shard.file.exists()]
    checks = threads.map(is_current, present)
    current = list(tqdm(checks, "checking what is packed", len(present), unit="file", delay=2))
    good = {shard.file for shard, is_good in zip(present, current, strict=True) if is_good}
    return {shard.file for shard in shards} - good


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
        write_shard(shard, threads, progress)
    shards = [Shard(shard.file) for shard in job.shards]
    about = [(shard.file.stat().st_size, shard.about["id"]) for shard in shards]
    write_entry(index, make_entry(job.folder, job.source, job.images, about))
    _remove_others(job.packed, {index, *(shard.file for shard in shards)})
    return sum(shard.unreadable for shard in shards)


def _remove_others(folder: Path, files: set[Path]) -> None:
    """Remove what is in `folder` besides `files`: shards of removed images, temporary files."""
    for file in folder.glob("*"):
        if file not in files and file.is_file():
            file.unlink()


def check_space(
    copy: Path,
    paths: list[str],
    total: int,
    threads: ThreadPoolExecutor,
    max_megapixels: int = MAX_MEGAPIXELS,
) -> None:
    """Log how much space the images at `paths` will take in the copy, and raise if it is missing.

    The size is estimated from the headers of some of the images.

    Raises:
        GenspotError: the disk has less space than that.
    """
    sample = paths[:: max(1, len(paths) // HEADERS)]
    measure = partial(_decoded_size, max_megapixels=max_megapixels)
    size = sum(threads.map(measure, sample)) * len(paths) / max(1, len(sample))
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


def _decoded_size(path: str, max_megapixels: int) -> int:
    """Return the number of bytes of a decoded image; 0 if its header cannot be read."""
    try:
        with image_io.open_image(path, max_megapixels) as image:
            return 3 * image.width * image.height
    except Exception:  # reported when the image is packed
        return 0
