"""The directory of a ZIP file: what its members are and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from genspot.download.source import ByteSource

SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # with slashes, below the root
        ("offset", pa.int64()),  # of the local header
        ("end", pa.int64()),  # where the next header begins, at the latest
        ("compressed", pa.int64()),  # bytes
        ("size", pa.int64()),  # bytes of the content
        ("crc", pa.uint32()),  # CRC-32 of the content
        ("method", pa.uint8()),  # 0: stored, 8: deflated
    ]
)


@dataclass(frozen=True)
class Directory:
    """Files of a ZIP file in the order of their offsets.

    Attributes:
        title: of the archive, for messages.
        table: one row a file, of `SCHEMA`.
    """

    title: str
    table: pa.Table

    def __len__(self) -> int:
        """The number of files."""
        return self.table.num_rows

    @property
    def size(self) -> int:
        """The number of bytes of all contents."""
        raise NotImplementedError

    def select(self, folders: Iterable[str]) -> Directory:
        """Return the files below `folders`, such as "cat" or "stylegan/car".

        Raises:
            GenspotError: one of them holds no file; the line says which there are.
        """
        raise NotImplementedError

    def by_folder(self) -> dict[str, Directory]:
        """Return the files of each folder that holds some, by its name: "cat/0_real"."""
        raise NotImplementedError


def read_directory(source: ByteSource, cache: Path, title: str) -> Directory:
    """Return all files of a ZIP file.

    Args:
        source: the ZIP file.
        cache: folder in which the directory is kept for the next time.
        title: of the archive, for messages.

    Raises:
        GenspotError: it is no ZIP file, is damaged, or has a member that is not accepted.
    """
    raise NotImplementedError
