"""The index of a data set: made once, kept beside it, opened by memory map.

An index lists every image below a folder. It is one Arrow file, so that opening it costs the
same for a thousand images as for ten million, and all processes of a machine share its pages.
The halves (`0_real/`, `1_fake/`) whose folder changed since are listed anew, the others are not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
from filelock import FileLock
from tqdm import tqdm

from genspot.data import image_io as images
from genspot.data.layout import SCHEMA, Half, halves, images_in, utf8

log = logging.getLogger(__name__)

INDEX = pa.schema(
    [
        *SCHEMA,
        ("width", pa.int32()),  # pixels; null, as is the format, where PIL knows neither
        ("height", pa.int32()),
        ("format", pa.dictionary(pa.int32(), pa.string())),  # PIL's name: PNG, JPEG
    ]
)
# A folder that changed so shortly before it was listed may change again within the resolution
# of its time stamp: it is listed anew the next time.
RACY = 2_000_000_000  # nanoseconds
THREADS = 16  # wait for a slow file system together
CHUNK = 4096  # headers asked for at once


@dataclass(frozen=True)
class Section:
    """The rows of one half.

    Attributes:
        folder: of the half, below the root.
        changed: when its folder changed last, in nanoseconds, as seen before it was listed.
        listed: when it was listed, in nanoseconds.
        rows: how many images it holds.
    """

    folder: str
    changed: int
    listed: int
    rows: int

    def current(self, root: str) -> bool:
        """Whether the folder is as it was listed."""
        try:
            changed = os.stat(os.path.join(root, self.folder)).st_mtime_ns
        except OSError:
            return False
        return changed == self.changed and self.listed - self.changed > RACY


Parts = dict[str, tuple[Section, pa.Table]]  # sections by their folders, with their rows


@dataclass(frozen=True)
class Index:
    """The images below `root`: a table of schema `INDEX`, in sections."""

    root: str
    sections: list[Section]
    table: pa.Table

    def parts(self) -> Parts:
        """The rows of each section by its folder."""
        starts = np.cumsum([0, *(section.rows for section in self.sections)])
        return {
            section.folder: (section, self.table.slice(start, section.rows))
            for start, section in zip(starts.tolist(), self.sections, strict=False)
        }

    def select(self, folders: list[str]) -> Index:
        """The sections of `folders`, in that order."""
        parts = self.parts()
        return self.joined({folder: parts[folder] for folder in folders})

    def joined(self, parts: Parts) -> Index:
        """An index of the same root, of `parts`."""
        tables = [INDEX.empty_table(), *(table for _, table in parts.values())]
        return Index(self.root, [one for one, _ in parts.values()], pa.concat_tables(tables))

    def samples(self, generator: str) -> pa.Table:
        """The table of samples (`genspot.data.layout.SCHEMA`) under the name `generator`."""
        codes = np.zeros(self.table.num_rows, np.int32)
        column = pa.DictionaryArray.from_arrays(codes, pa.array([generator]))
        place = SCHEMA.get_field_index("generator")
        return self.table.select(SCHEMA.names).set_column(place, SCHEMA.field(place), column)


def scan(folder: str | Path, generator: str, classes: list[str] | str | None) -> pa.Table:
    """The table of samples below `folder`, by way of its index; see `genspot.data.layout.halves`."""
    return open_index(folder, generator, classes).samples(generator)


def open_index(folder: str | Path, generator: str, classes: list[str] | str | None) -> Index:
    """The index of the images below `folder`, made or brought up to date where it must be.

    Raises:
        GenspotError: see `genspot.data.layout.halves`.
    """
    wanted = halves(folder, generator, classes)
    root = os.path.abspath(folder)
    for place in places(root):
        known = read_index(place, root)
        if not _stale(known, wanted):
            return _ordered(known, wanted)
    for place in places(root):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{place}.lock"):
                known = read_index(place, root)  # another process may have been faster
                if _stale(known, wanted):
                    write_index(place, _refreshed(known, wanted, generator))
                    known = read_index(place, root)
        except (OSError, UnicodeError) as error:  # Arrow opens no path that is not UTF-8
            log.info("no index beside %s (%s)", utf8(root), images.reason(error))
            continue
        return _ordered(known, wanted)
    return _ordered(_refreshed(Index(root, [], INDEX.empty_table()), wanted, generator), wanted)


def places(root: str) -> list[Path]:
    """Where the index of `root` may lie: beside it, or for want of a right to write there, below
    the folder of temporary files."""
    beside = Path(root)
    owner = os.getuid() if hasattr(os, "getuid") else 0
    elsewhere = Path(tempfile.gettempdir(), f"genspot-{owner}")
    key = hashlib.sha256(root.encode(errors="surrogateescape")).hexdigest()[:16]
    return [beside.with_name(f".{beside.name}.index.arrow"), elsewhere / f"{key}.index.arrow"]


def read_index(place: Path, root: str) -> Index:
    """The index kept at `place`, mapped into memory, as of `root`; an empty one if there is none.

    Reading rows touches their pages only; the paths of an index that was moved are rewritten.
    """
    try:
        with pa.ipc.open_file(pa.memory_map(str(place))) as file:
            table = file.read_all()
        about = json.loads(table.schema.metadata[b"genspot"])
        sections = [Section(**section) for section in about["sections"]]
        former = about["root"]
        if not table.schema.equals(INDEX):
            raise ValueError("an index of another version")
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):  # none, or torn
        return Index(root, [], INDEX.empty_table())
    if former != root:
        tails = pa.compute.utf8_slice_codeunits(table["path"], len(utf8(former)))
        wide = pa.large_string()
        moved = pa.compute.binary_join_element_wise(
            pa.scalar(utf8(root), wide), tails, pa.scalar("", wide)
        )
        table = table.set_column(0, INDEX.field(0), moved)
    return Index(root, sections, table)


def write_index(place: Path, index: Index) -> None:
    """Write `index` beside `place` and rename it: a reader never meets half a file."""
    about = {"root": index.root, "sections": [asdict(section) for section in index.sections]}
    table = index.table.unify_dictionaries().replace_schema_metadata(
        {"genspot": json.dumps(about)}
    )
    partial = place.with_name(f"{place.name}.partial")
    with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    partial.replace(place)


def _relative(half: Half, root: str) -> str:
    return os.path.relpath(half.folder, root)


def _stale(known: Index, wanted: list[Half]) -> list[Half]:
    """The halves that `known` does not list as they are now."""
    sections = {section.folder: section for section in known.sections}
    return [
        half
        for half in wanted
        if (section := sections.get(_relative(half, known.root))) is None
        or not section.current(known.root)
    ]


def _ordered(known: Index, wanted: list[Half]) -> Index:
    return known.select([_relative(half, known.root) for half in wanted])


def _refreshed(known: Index, wanted: list[Half], generator: str) -> Index:
    """`known` with the halves that changed listed anew; what is gone is left out."""
    root = known.root
    fresh = {_relative(half, root): half for half in _stale(known, wanted)}
    parts = {
        folder: part
        for folder, part in known.parts().items()
        if folder not in fresh and os.path.isdir(os.path.join(root, folder))
    }
    listed = {}
    for folder, half in fresh.items():
        now, changed = time.time_ns(), os.stat(half.folder).st_mtime_ns
        listed[folder] = (now, changed, images_in(half.folder))
    total = sum(len(files) for _, _, files in listed.values())
    with (
        tqdm(total=total, desc=f"indexing {generator}", unit="image", delay=1) as progress,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        for folder, (now, changed, files) in listed.items():
            table = pa.concat_tables(_rows(files, fresh[folder], generator, threads, progress))
            parts[folder] = (Section(folder, changed, now, len(files)), table)
    return known.joined(parts)


def _rows(
    files: list[str], half: Half, generator: str, threads: ThreadPoolExecutor, progress: tqdm
) -> Iterator[pa.Table]:
    """Tables of `files`, a chunk each; one without rows first."""
    yield INDEX.empty_table()
    for first in range(0, len(files), CHUNK):
        chunk = files[first : first + CHUNK]
        widths, heights, formats = zip(*threads.map(_header, chunk), strict=True)
        same = len(chunk)
        columns = [chunk, [generator] * same, [half.name] * same, [half.label] * same]
        columns += [widths, heights, formats]
        yield pa.Table.from_arrays(
            [pa.array(one, field.type) for one, field in zip(columns, INDEX, strict=True)],
            schema=INDEX,
        )
        progress.update(same)


def _header(path: str) -> tuple[int | None, int | None, str | None]:
    """Width, height and format as the file's header has them."""
    try:
        with images.opened(path) as image:
            return *image.size, image.format
    except Exception:  # listed as unreadable by whoever reads it
        return None, None, None
