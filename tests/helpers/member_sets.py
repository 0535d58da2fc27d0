"""Archives of images as members of a packed copy, without any archive."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from genspot.data.packed.stream import CopyPlan, plan_copy, write_copy
from genspot.data.settings import DEFAULT_LABELS, MAX_MEGAPIXELS, Labels


def members_of(folder: Path) -> dict[str, bytes]:
    """Return the files below `folder` by name, in a shuffled order."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    random.Random(0).shuffle(files)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def table_of(members: Mapping[str, bytes]) -> pa.Table:
    """Return the table of members as an archive's directory has it."""
    rows = [(name, len(data), zlib.crc32(data)) for name, data in members.items()]
    fields = [("name", pa.string()), ("size", pa.int64()), ("crc", pa.uint32())]
    columns = zip(*rows, strict=True)
    return pa.table([list(column) for column in columns], schema=pa.schema(fields))


def plan(
    members: Mapping[str, bytes],
    root: Path,
    recheck: bool = False,
    max_megapixels: int = MAX_MEGAPIXELS,
    labels: Labels = DEFAULT_LABELS,
) -> CopyPlan:
    return plan_copy(table_of(members), "the archive", root, labels, max_megapixels, recheck)


def contents_of(members: Mapping[str, bytes], found: CopyPlan) -> Iterator[bytes]:
    """Yield the files of the images that are to be written."""
    data = list(members.values())
    for one in found.missing:
        for row in one.rows.tolist():
            yield data[row]


def pack_members(
    members: Mapping[str, bytes], root: Path, recheck: bool = False, max_megapixels: int = 179
) -> tuple[int, int]:
    """Pack members; return the numbers of images that were written and that are unreadable."""
    found = plan(members, root, recheck, max_megapixels)
    found.copy.mkdir(parents=True, exist_ok=True)
    counts: list[int] = []
    unreadable, _ = write_copy(found, contents_of(members, found), counts.append, 2)
    return sum(counts), unreadable


def write_files(members: Mapping[str, bytes], root: Path, folders: Iterable[str] = ("",)) -> None:
    """Write those of the members that are below `folders` as files below `root`."""
    for name, data in members.items():
        if any(name.startswith(folder) for folder in folders):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
