"""Writing of the shards of label folders, and of what says which these are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.data.packed.index import (
    INDEX_FILE,
    FolderEntry,
    read_label_folders,
    write_entry,
    write_label_folders,
)
from genspot.data.packed.shard import SHARD_IMAGES, Shard, shard_file
from genspot.data.packed.shard_writer import ShardJob, is_current, write_shard
from genspot.data.settings import Classes
from genspot.data.walk import join_paths

# From the sizes and ids of the shards to the index of their label folder.
MakeEntry = Callable[[list[tuple[int, str]]], FolderEntry]


class FolderJob(NamedTuple):
    """A label folder and its shards."""

    folder: str  # relative to the root of the data set
    packed: Path
    shards: list[ShardJob]
    make_entry: MakeEntry


def make_shards(
    packed: Path,
    folder: str,
    names: pa.Array,
    max_megapixels: int,
    source: str | None,
    checksums: Sequence[int] | None = None,
) -> list[ShardJob]:
    """Return the shards of a label folder.

    Args:
        packed: the folder of the shards.
        folder: the label folder, relative to the root of the data set.
        names: of its images, relative to it.
        max_megapixels: larger images are unreadable.
        source: the path of the label folder; None if its images are not here.
        checksums: CRC-32 of the files, if they are members of an archive.
    """
    paths = join_paths(source, names) if source is not None else pa.array([], pa.large_string())
    return [
        ShardJob(
            shard_file(packed, start // SHARD_IMAGES),
            paths[start : start + SHARD_IMAGES].to_pylist(),
            names[start : start + SHARD_IMAGES].to_pylist(),
            folder,
            max_megapixels,
            None if checksums is None else list(checksums[start : start + SHARD_IMAGES]),
        )
        for start in range(0, len(names), SHARD_IMAGES)
    ]


def list_label_folders(copy: Path, folders: list[str], classes: Classes) -> None:
    """Store which label folders the copy must have, before they are packed.

    Those of other classes that were packed before remain.
    """
    if classes != "any":
        with suppress(GenspotError):  # a damaged list
            folders = sorted({*folders, *read_label_folders(copy)})
    write_label_folders(copy, folders)


def shards_to_write(shards: Sequence[ShardJob], threads: ThreadPoolExecutor) -> set[Path]:
    """Return the shards that are missing, damaged, or lack a change of their source."""
    present = [shard for shard in shards if shard.file.exists()]
    checks = threads.map(is_current, present)
    current = list(tqdm(checks, "checking what is packed", len(present), unit="file", delay=2))
    good = {shard.file for shard, is_good in zip(present, current, strict=True) if is_good}
    return {shard.file for shard in shards} - good


def pack_folder(
    job: FolderJob,
    to_write: set[Path],
    threads: ThreadPoolExecutor,
    count: Callable[[int], object],
    contents: Iterator[bytes] | None = None,
) -> int:
    """Write the shards of a label folder that are in `to_write`, and its index.

    Args:
        job: the label folder.
        to_write: shards of it and of others.
        threads: that decode.
        count: gets the numbers of images that are written.
        contents: the files of all images to write, if they are members of an archive.

    Returns:
        The number of unreadable images.
    """
    job.packed.mkdir(parents=True, exist_ok=True)
    index = job.packed / INDEX_FILE
    own = [shard for shard in job.shards if shard.file in to_write]
    if own:  # a folder without an index is incomplete, and not read
        index.unlink(missing_ok=True)
    for shard in own:
        write_shard(shard, threads, count, contents)
    shards = [Shard(shard.file) for shard in job.shards]
    about = [(os.path.getsize(shard.file), shard.about["id"]) for shard in shards]
    write_entry(index, job.make_entry(about))
    _remove_others(job.packed, {index, *(shard.file for shard in shards)})
    return sum(shard.unreadable for shard in shards)


def _remove_others(folder: Path, files: set[Path]) -> None:
    """Remove what is in `folder` besides `files`: shards of removed images, temporary files."""
    for file in folder.glob("*"):
        if file not in files and file.is_file():
            file.unlink()
