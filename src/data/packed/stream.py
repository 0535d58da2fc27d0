"""Packed copies of members of an archive, whose images never become files.

A copy that is written so is that of `genspot.data.packed.writer` for the unpacked archive: the
same images in the same order, with the same pixels. Its shards hold the CRC-32 of each member. By
it a shard is known again, and `task=pack` compares it with files that are unpacked later.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.errors import GenspotError
from genspot.data.label_folders import first_of
from genspot.data.packed.folder_writer import (
    FolderJob,
    list_label_folders,
    make_shards,
    pack_folder,
    shards_to_write,
)
from genspot.data.packed.index import INDEX_FILE, FolderEntry, read_entry
from genspot.data.packed.member_folders import MemberFolder, find_member_folders
from genspot.data.packed.shard import Shard, check_shard, file_checksums, shard_file
from genspot.data.packed.sources import has_label_folder, packed_folder
from genspot.data.settings import Labels

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MissingFolder:
    """A label folder of which shards or the index are missing.

    Attributes:
        job: what is to be written.
        to_write: the shards.
        rows: the images of these shards in the table of members, in their order.
    """

    job: FolderJob
    to_write: set[Path]
    rows: np.ndarray


@dataclass(frozen=True)
class CopyPlan:
    """What a packed copy lacks of an archive.

    Attributes:
        copy: the packed copy.
        jobs: all label folders that are wanted.
        missing: what is to be written.
        images: number of images of all label folders.
    """

    copy: Path
    jobs: list[FolderJob]
    missing: list[MissingFolder]
    images: int


def plan_copy(
    members: pa.Table,
    title: str,
    root: Path,
    labels: Labels,
    max_megapixels: int,
    recheck: bool,
) -> CopyPlan:
    """Return what the packed copy of `root` lacks of the members.

    Label folders with an index count by it and by the sizes and descriptions of their shards. The
    shards of other label folders are read.

    Args:
        members: with the columns name, size (bytes) and crc (CRC-32).
        title: of the archive, for messages.
        root: the folder whose copy it is.
        labels: names of the label folders.
        max_megapixels: larger images are unreadable.
        recheck: read all shards.

    Raises:
        GenspotError: see `find_member_folders`; or a label folder of the copy holds other images,
            or image files are in the way.
    """
    place = os.path.abspath(root)
    copy = packed_folder(place)
    folders, left_out = find_member_folders(members["name"].combine_chunks(), title, labels)
    jobs, missing = [], []
    with ThreadPoolExecutor() as threads:
        for source in folders:
            left_out += [(f"{source.folder}/{name}", reason) for name, reason in source.left_out]
            job = _make_job(source, members, place, copy, max_megapixels)
            jobs.append(job)
            to_write = _shards_to_write(job, recheck, threads)
            if to_write is not None:
                _require_no_files(place, source, labels)
                missing.append(MissingFolder(job, to_write, _rows(job, to_write, source.rows)))
    if left_out:
        log.warning("%s: not everything is packed%s", title, first_of(left_out))
    return CopyPlan(copy, jobs, missing, sum(len(one.names) for one in folders))


def _make_job(
    source: MemberFolder, members: pa.Table, root: str, copy: Path, max_megapixels: int
) -> FolderJob:
    """Return the label folder with its shards."""
    checksums, sizes = (
        members[name].combine_chunks().take(source.rows).to_pylist() for name in ("crc", "size")
    )
    packed, place = copy / source.folder, os.path.join(root, source.folder)
    shards = make_shards(
        packed, source.folder, source.names, max_megapixels, place, checksums=checksums
    )
    firsts = sizes[:: len(shards[0].names)] if shards else []
    entry = FolderEntry(source.folder, source.names, firsts, source.left_out, {}, [])
    return FolderJob(source.folder, packed, shards, entry.with_shards)


def _shards_to_write(
    job: FolderJob, recheck: bool, threads: ThreadPoolExecutor
) -> set[Path] | None:
    """Return the shards that are missing or damaged; None if the label folder is complete.

    Raises:
        GenspotError: it is the copy of other images, or may not be read.
    """
    try:
        entry = read_entry(job.packed / INDEX_FILE)
        if entry is None:
            return shards_to_write(job.shards, threads)
        about = [
            check_shard(shard_file(job.packed, number), *pair)
            for number, pair in enumerate(entry.shards)
        ]
    except PermissionError as error:
        raise GenspotError(f"{error.filename} cannot be read: {error.strerror}") from None
    except GenspotError as error:
        log.warning("%s", error)
        return shards_to_write(job.shards, threads)
    packed = [file_checksums(one) for one in about]
    expected = job.make_entry(entry.shards)
    if (entry.names, entry.sizes) != (expected.names, expected.sizes) or not all(
        one in (None, shard.checksums) for one, shard in zip(packed, job.shards, strict=True)
    ):
        raise GenspotError(
            f"{job.packed} is the packed copy of other images: move it away, and those of the "
            "archive are packed in its place"
        )
    limits = {one.get("max_megapixels") for one in about}
    if not recheck and limits <= {str(job.shards[0].max_megapixels) if job.shards else ""}:
        return None
    shards = [  # one that was packed from files has no CRC-32 to compare
        shard if one else shard._replace(paths=[], checksums=None)
        for one, shard in zip(packed, job.shards, strict=True)
    ]
    return shards_to_write(shards, threads) or None


def _require_no_files(root: str, source: MemberFolder, labels: Labels) -> None:
    """Raise GenspotError if there are label folders where the packed ones would have theirs."""
    place = os.path.normpath(os.path.join(root, source.class_name))
    if has_label_folder(place, labels):
        raise GenspotError(
            f"{place} holds folders of image files: complete them with data.format=files and pack "
            "them with task=pack, or move them away"
        )


def _rows(job: FolderJob, to_write: set[Path], rows: np.ndarray) -> np.ndarray:
    """Return those of the rows, one for each image, that are in shards to write."""
    wanted = [shard.file in to_write for shard in job.shards for _ in shard.names]
    return rows[np.array(wanted, bool)]


def write_copy(
    plan: CopyPlan,
    contents: Iterator[bytes],
    count: Callable[[int], object],
    threads: int,
) -> tuple[int, int]:
    """Write what is missing; the lock of the copy must be held.

    Args:
        plan: of the copy.
        contents: the files of the images to write, in the order of the rows of `plan.missing`.
        count: gets the numbers of images that are written.
        threads: that decode.

    Returns:
        The number of unreadable images of all label folders, and the bytes of their shards.

    Raises:
        GenspotError: pixels differ from PIL's, or from what was written.
        OSError: a file cannot be written.
    """
    if plan.missing:
        list_label_folders(plan.copy, [job.folder for job in plan.jobs], classes=None)
    with ThreadPoolExecutor(threads) as pool:
        for one in plan.missing:
            pack_folder(one.job, one.to_write, pool, count, contents)
    shards = [Shard(shard.file) for job in plan.jobs for shard in job.shards]
    return sum(one.unreadable for one in shards), sum(os.path.getsize(one.file) for one in shards)
