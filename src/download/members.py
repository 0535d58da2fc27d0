"""The members of a ZIP file by ranges of its bytes, each verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from genspot.download.directory import Directory
from genspot.download.source import ByteSource

LIMIT = 16 * 2**20  # bytes of a batch


@dataclass(frozen=True)
class Batch:
    """Members whose bytes are read at once.

    Attributes:
        offset: of the first byte in the ZIP file.
        length: in bytes, that of what lies between the members included.
        directory: the members.
    """

    offset: int
    length: int
    directory: Directory


class Member(NamedTuple):
    """A file and its verified content."""

    name: str
    data: bytes


def batches(directory: Directory, limit: int = LIMIT) -> Iterator[Batch]:
    """Yield all members in batches, by their offsets.

    A batch reads at most `limit` bytes and holds at most `limit` of content, except where a
    single member is larger.
    """
    raise NotImplementedError


def read_batch(source: ByteSource, batch: Batch) -> list[Member]:
    """Return the members of a batch.

    The local header of each is compared with the directory, and its content's length and CRC-32.
    If something differs, the batch is read once more.

    Raises:
        GenspotError: a member differs again, or the bytes cannot be had.
    """
    raise NotImplementedError
