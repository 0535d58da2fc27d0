"""Writing of packed copies; `genspot.data.packed.reader` describes and reads them."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import utf8_path
from genspot.data import image_io
from genspot.data.label_folders import first_of
from genspot.data.packed.folder_writer import (
    FolderJob,
    MakeEntry,
    list_label_folders,
    make_shards,
    pack_folder,
    shards_to_write,
)
from genspot.data.packed.index import INDEX_FILE, FolderEntry, make_entry, read_entry
from genspot.data.packed.sources import find_sources, packed_folder
from genspot.data.settings import DEFAULT_LABELS, MAX_MEGAPIXELS, Classes, Labels

log = logging.getLogger(__name__)

HEADERS = 1000  # image headers read to estimate the size of a packed copy
NOT_HERE = (
    "{problem}, and its images are no files in {root}: where they can be downloaded, "
    "task=download data={generator} data.format=packed recheck=true packs them"
)


def pack(
    folder: str | Path,
    generator: str,
    classes: Classes,
    max_megapixels: int = MAX_MEGAPIXELS,
    labels: Labels = DEFAULT_LABELS,
) -> None:
    """Write or complete the packed copy of `folder`; larger images are unreadable.

    The pixels of each image are compared with PIL's. Each new shard is written to a temporary
    file, read back, and only then renamed. Shards that exist are checked, and written again where
    they are damaged or their images changed. An interrupted pack continues with the first missing
    one. Label folders whose images are in the copy alone are checked.

    Raises:
        GenspotError: the folder holds no image, the disk has no space, the packed images differ
            from the source, or a shard is damaged whose images are not here.
    """
    root = os.path.abspath(folder)
    copy = packed_folder(root)
    jobs = _plan(root, copy, generator, classes, max_megapixels, labels)
    shards = [shard for job in jobs for shard in job.shards]
    total = sum(len(shard.names) for shard in shards)
    copy.mkdir(parents=True, exist_ok=True)
    with FileLock(copy / ".lock"), ThreadPoolExecutor() as threads:
        list_label_folders(copy, [job.folder for job in jobs], classes)
        to_write = shards_to_write(shards, threads)
        missing = [shard for shard in shards if shard.file in to_write]
        for shard in missing:
            if not shard.paths:
                raise _not_here(f"{shard.file} is missing or damaged", root, generator)
        paths = [path for shard in missing for path in shard.paths]
        check_space(copy, paths, total, threads, max_megapixels)
        unreadable = 0
        with tqdm(
            total=len(paths), desc=f"packing {Path(root).name}", unit="image", disable=not paths
        ) as progress:
            for job in jobs:
                unreadable += pack_folder(job, to_write, threads, progress.update)
    log.info("%s holds %d images, %d of them unreadable; verified", copy, total, unreadable)


def _plan(
    root: str, copy: Path, generator: str, classes: Classes, max_megapixels: int, labels: Labels
) -> list[FolderJob]:
    """Return the label folders of a data set and their shards.

    Raises:
        GenspotError: there is no image, or see `find_sources`; or a label folder is not here, and
            its copy is incomplete.
    """
    if not (os.path.isdir(root) or copy.is_dir()):
        raise GenspotError(f"{generator}: no folder {utf8_path(root)}")
    found, left_out = find_sources(root, generator, classes, labels)
    if len({source.label for source, _ in found}) == 1:
        raise GenspotError(f"{generator}: {utf8_path(root)} lacks real or fake images")
    jobs = []
    for source, images in found:
        folder = os.path.relpath(source.path, root)
        packed, place = copy / folder, None if images is None else source.path
        make: MakeEntry
        if images is None:
            entry = _read_entry(packed / INDEX_FILE, root, generator)
            names, make = entry.names, entry.with_shards
            left_out += entry.left_out_of(source.path)
        else:
            names, make = images.names, partial(make_entry, folder, source.path, images)
            left_out += images.left_out
        shards = make_shards(packed, folder, names, max_megapixels, place)
        jobs.append(FolderJob(folder, packed, shards, make))
    if not any(job.shards for job in jobs):
        raise GenspotError(f"{generator}: no images below {utf8_path(root)}{first_of(left_out)}")
    if left_out:
        log.warning("%s: not everything is packed%s", utf8_path(root), first_of(left_out))
    return jobs


def _read_entry(index: Path, root: str, generator: str) -> FolderEntry:
    """Return the index of a label folder that is in the copy alone."""
    try:
        entry = read_entry(index)
    except GenspotError as error:
        raise _not_here(str(error), root, generator) from None
    if entry is None:
        raise _not_here(f"{index} is missing", root, generator)
    return entry


def _not_here(problem: str, root: str, generator: str) -> GenspotError:
    return GenspotError(
        NOT_HERE.format(problem=problem, root=utf8_path(root), generator=generator)
    )


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
    measure = partial(decoded_size, max_megapixels=max_megapixels)
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


def decoded_size(path: str, max_megapixels: int, content: bytes | None = None) -> int:
    """Return the number of bytes of a decoded image; 0 if its header cannot be read.

    Args:
        path: of the image file.
        max_megapixels: a larger image has no pixels in a packed copy.
        content: of the file; None: it is read.
    """
    try:
        if content is None:
            image = image_io.open_image(path, max_megapixels)
        else:
            image = image_io.open_content(path, content, max_megapixels)
        with image:
            return 3 * image.width * image.height
    except Exception:  # reported when the image is packed
        return 0
