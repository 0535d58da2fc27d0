"""The file that a detector is in, without its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from genspot.common.errors import GenspotError
from genspot.detector.metadata import Metadata


@dataclass(frozen=True)
class DetectorFile:
    """What is known of a detector's file once its network is made.

    Attributes:
        path: the file.
        metadata: what the detector was trained on.
        weights: digest of its weights, in hexadecimal digits, by which an interrupted run knows
            them again.
        sha256: of the file, in hexadecimal digits.
        source: the same of the checkpoint whose logits these are: of an exported file in float32,
            the checkpoint that it was made of, and of any other file `sha256`.
    """

    path: Path
    metadata: Metadata
    weights: str
    sha256: str
    source: str

    def named(self) -> AbstractContextManager[None]:
        """Name the file in each GenspotError of the block that does not name it."""
        return naming(self.path)


@contextmanager
def naming(path: Path, setting: str = "checkpoint") -> Iterator[None]:
    """Name a file and the setting that gave it in each GenspotError of the block without it."""
    try:
        yield
    except GenspotError as error:
        if str(path) in str(error):
            raise
        raise GenspotError(f"{setting}={path}: {error}") from error
