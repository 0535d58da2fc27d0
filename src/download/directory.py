"""The directory of a ZIP file: which files it holds and where; it is kept for the next time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
from genspot.common.text import safe_repr
from genspot.download.entries import SCHEMA, DamagedError, EndFirst, read_entries
from genspot.download.source import ByteSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Directory:
    """Files of a ZIP file in the order of their offsets.

    Attributes:
        title: of the archive, for messages.
        table: one row a file, of `SCHEMA`.
        kept: file in which the directory is kept, if any.
    """

    title: str
    table: pa.Table
    kept: Path | None = None

    def __len__(self) -> int:
        """The number of files."""
        return self.table.num_rows

    @property
    def size(self) -> int:
        """The number of bytes of all contents."""
        return pc.sum(self.table["size"]).as_py() or 0

    @property
    def stored(self) -> int:
        """The number of bytes that the files take in the archive, with their headers."""
        return pc.sum(pc.subtract(self.table["end"], self.table["offset"])).as_py() or 0

    def select(self, folders: Iterable[str]) -> Directory:
        """Return the files below `folders`, such as "cat" or "stylegan/car".

        Raises:
            GenspotError: one of them holds no file; the line says which there are.
        """
        names = self.table["name"].combine_chunks()
        chosen = pa.array(np.zeros(len(names), bool))
        for folder in folders:
            below = pc.starts_with(names, f"{folder}/")
            if not pc.any(below).as_py():
                raise GenspotError(
                    f"{self.title} holds no file below {safe_repr(folder)}/; it holds: "
                    f"{safe_repr(self._folders_beside(folder), 1000)}"
                )
            chosen = pc.or_(chosen, below)
        return replace(self, table=self.table.filter(chosen))

    def by_folder(self) -> dict[str, Directory]:
        """Return the files of each folder that holds some, by its name: "cat/0_real"."""
        parents = pc.replace_substring_regex(self.table["name"], r"/?[^/]*$", "")
        encoded = parents.combine_chunks().dictionary_encode()
        folders, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
        table = self.table.take(np.argsort(codes, kind="stable"))
        counts = np.bincount(codes, minlength=len(folders)).tolist()
        parts, start = {}, 0
        for folder, count in zip(folders, counts, strict=True):
            parts[folder] = replace(self, table=table.slice(start, count))
            start += count
        return parts

    def forget(self) -> None:
        """Remove what is kept of it, so that it is read from the archive the next time."""
        if self.kept is not None:
            with suppress(OSError):  # it is not there, or its folder can only be read
                self.kept.unlink()

    def _folders_beside(self, folder: str) -> str:
        """Return the folders of the depth of `folder`, sorted."""
        depth = folder.count("/") + 1
        parts = (name.split("/")[:-1] for name in self.table["name"].to_pylist())
        found = sorted({"/".join(part[:depth]) for part in parts})
        return ", ".join(found) or "nothing"


def read_directory(source: ByteSource, cache: Path, title: str) -> Directory:
    """Return all files of a ZIP file.

    Names that lead out of the folder, links, encrypted members, other methods than stored and
    deflated, members that overlap and two of one place are refused with the whole archive. If
    something is wrong, the directory is read once more, since nothing in it verifies it.

    Args:
        source: the ZIP file.
        cache: folder in which the directory is kept for the next time.
        title: of the archive, for messages.

    Raises:
        GenspotError: it is no ZIP file, is damaged, or has a member that is not accepted.
    """
    try:
        return _read(source, cache, title)
    except DamagedError as error:
        logger.warning("%s. The directory is read once more.", error)
        return _read(source, cache, title)


def kept_directory(kept: Path, title: str) -> Directory | None:
    """Return the directory that `read_directory` kept at `kept`, None if it is not there."""
    table = _read_kept(kept)
    return None if table is None else Directory(title, table, kept)


def _read(source: ByteSource, cache: Path, title: str) -> Directory:
    """Return the directory that was kept, else the one in the ZIP file, which is then kept."""
    end_first = EndFirst(source, title)
    digest = hashlib.sha256(b"%d " % source.size + end_first.tail).hexdigest()
    kept = cache / f"directory-{digest[:16]}.parquet"
    table = _read_kept(kept)
    if table is None:
        table = read_entries(end_first, title)
        _keep(table, kept)
    return Directory(title, table, kept)


def _read_kept(path: Path) -> pa.Table | None:
    """Return the table that was kept at `path`, or None: there is none, or it is damaged."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return None
    return table if table.schema.equals(SCHEMA) else None


def _keep(table: pa.Table, path: Path) -> None:
    """Write `table` to `path`; if that fails, the directory is read from the archive again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial, partial.open("wb") as file:
            pq.write_table(table, file, write_page_checksum=True)
    except OSError as error:
        logger.warning("The directory of the archive is not kept: %s", error)
