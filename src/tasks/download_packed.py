"""Members of an archive as a packed copy, without image files in between."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genspot.data.packed.sources import packed_folder
from genspot.data.packed.stream import CopyPlan, plan_copy, write_copy
from genspot.data.packed.writer import decoded_size
from genspot.data.settings import DEFAULT_LABELS, MAX_MEGAPIXELS, Labels
from genspot.download.directory import Directory
from genspot.download.locks import lock
from genspot.download.members import LIMIT, batches, read_batch
from genspot.download.os_errors import named_os_errors
from genspot.download.progress import Progress
from genspot.download.source import ByteSource
from genspot.download.workers import map_ahead

CONNECTIONS = 4  # each reads up to two groups ahead
SAMPLES = 3  # images of a label folder whose headers are read


@dataclass(frozen=True)
class Missing:
    """What a packed copy lacks of an archive.

    Attributes:
        wanted: the members that the copy must hold at the end.
        members: those of them that are to be packed.
        plan: of the copy.
        max_megapixels: larger images are packed as unreadable.
    """

    wanted: Directory
    members: Directory
    plan: CopyPlan
    max_megapixels: int


@dataclass(frozen=True)
class Packed:
    """What `pack` did.

    Attributes:
        written: number of images that it packed.
        present: number of images that were packed before.
        unreadable: number of images in the copy that cannot be decoded.
        bytes: that the copy takes on the disk.
    """

    written: int
    present: int
    unreadable: int
    bytes: int


def lock_copy(root: Path) -> AbstractContextManager[None]:
    """Return the lock that a process holds from before `find_missing` to the end of `pack`."""
    copy = packed_folder(root.absolute())
    return lock(copy / ".lock", copy)


def find_missing(
    wanted: Directory,
    root: Path,
    labels: Labels = DEFAULT_LABELS,
    max_megapixels: int = MAX_MEGAPIXELS,
    recheck: bool = False,
) -> Missing:
    """Return what the packed copy of `root` lacks; `lock_copy` must be held.

    Args:
        wanted: the members of the label folders, with their names below `root`.
        root: the folder whose copy it is; neither it nor the copy need exist.
        labels: names of the label folders.
        max_megapixels: larger images are packed as unreadable.
        recheck: read the complete label folders of the copy too.

    Raises:
        GenspotError: a class lacks real or fake images, there is no image, the copy holds other
            images, or image files are in the way.
    """
    plan = plan_copy(wanted.table, wanted.title, root, labels, max_megapixels, recheck)
    rows = np.sort(np.concatenate([np.array([], np.int64), *(one.rows for one in plan.missing)]))
    return Missing(wanted, _take(wanted, rows), plan, max_megapixels)


def need(source: ByteSource, missing: Missing) -> int:
    """Return about how many bytes the missing images take in the copy.

    Some images of each label folder are read for their sizes.
    """
    total = 0.0
    for one in missing.plan.missing:
        count = len(one.rows)
        picked = np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).astype(int))
        sizes = [
            decoded_size(member.name, missing.max_megapixels, member.data)
            for row in one.rows[picked]
            for batch in batches(_take(missing.wanted, row[None]))
            for member in read_batch(source, batch)
        ]
        total += count * sum(sizes) / max(1, len(sizes))
    return int(total * 1.01)  # names, checksums and the ends of the files


def pack(
    source: ByteSource,
    missing: Missing,
    threads: int,
    progress: Progress,
    cancel: Callable[[], object],
) -> Packed:
    """Write the missing images into the packed copy; `lock_copy` must be held.

    They are written in files of up to 1024 images, each of which is verified and renamed, so the
    next `find_missing` continues after the last.

    Args:
        source: the ZIP file.
        missing: what to write.
        threads: that decode.
        progress: counts the bytes of read members in the archive (`Directory.stored`) as verified.
            The source counts those that arrive.
        cancel: called where the work ends early; it ends waiting reads of the source.

    Raises:
        GenspotError: a member is damaged, pixels differ from PIL's, or a file cannot be written.
    """
    rows = [one.rows for one in missing.plan.missing]
    ordered = _take(missing.wanted, np.concatenate([np.array([], np.int64), *rows]))
    with (
        named_os_errors(missing.plan.copy),
        _contents(source, ordered, progress, cancel) as contents,
    ):
        unreadable, size = write_copy(missing.plan, contents, lambda _: None, threads)
    written = len(ordered)
    if written:
        os.sync()  # before anyone removes the archive
    return Packed(written, missing.plan.images - written, unreadable, size)


@contextmanager
def _contents(
    source: ByteSource,
    members: Directory,
    progress: Progress,
    cancel: Callable[[], object],
) -> Iterator[Iterator[bytes]]:
    """Yield the contents of the members in their order, which may be any."""

    def read(group: pa.Table) -> list[bytes]:
        by_offset = replace(members, table=group.sort_by("offset"))
        found: dict[str, bytes] = {}
        for batch in batches(by_offset):
            found |= dict(read_batch(source, batch))
            progress.verified(batch.directory.stored)
        return [found[name] for name in group["name"].to_pylist()]

    with map_ahead(read, _groups(members), CONNECTIONS, cancel) as groups:
        yield itertools.chain.from_iterable(groups)


def _groups(members: Directory) -> Iterator[pa.Table]:
    """Yield parts of the table of members that take `LIMIT` bytes of memory, or one member."""
    table = members.table
    sizes = pc.max_element_wise(table["size"], table["compressed"]).to_numpy()
    first = taken = 0
    for row, size in enumerate(sizes.tolist()):
        if row > first and taken + size > LIMIT:
            yield table.slice(first, row - first)
            first, taken = row, 0
        taken += size
    if first < len(table):
        yield table.slice(first)


def _take(directory: Directory, rows: np.ndarray) -> Directory:
    return replace(directory, table=directory.table.take(pa.array(rows, pa.int64())))
