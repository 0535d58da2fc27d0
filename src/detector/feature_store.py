"""Features of images on the disk: computed once, appended batch by batch, read by key."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import BaseFileLock, FileLock

from genspot.common.errors import GenspotError
from genspot.common.files import write_json

ENTRY = struct.Struct(">32s?I")  # of the index: key, whether the image was padded, CRC-32
RECORDS, INDEX, ABOUT = "features.f32", "index", "about.json"


class FeatureStore:
    """Features of one kind: float32 arrays of one shape, each with a key of 32 bytes.

    The records come before their entries of the index, and what has no entry is cut off before
    the next batch: a process that is killed loses the batch that it was writing, and no other.

    Args:
        folder: of all stores; each has a folder in it, named by a digest of `about`.
        about: plain values on which the features depend, in the order of about.json.
        shape: of the features of one image.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], shape: Sequence[int]) -> None:
        text = json.dumps(about, sort_keys=True)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.about, self.shape = dict(about), tuple(shape)
        self.record_bytes = 4 * math.prod(self.shape)
        self._entries: dict[bytes, tuple[int, bool, int]] = {}  # key → place, padded, CRC-32
        self._records: np.ndarray | None = None  # opened by each process at its first read

    def lock(self) -> BaseFileLock:
        """Return the lock of the process that appends; its folder is made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / ".lock")

    def refresh(self) -> None:
        """Read the index again, with what other processes have appended."""
        index, records = self.folder / INDEX, self.folder / RECORDS
        content = index.read_bytes() if index.exists() else b""
        whole = records.stat().st_size // self.record_bytes if records.exists() else 0
        count = min(len(content) // ENTRY.size, whole)
        entries = ENTRY.iter_unpack(content[: count * ENTRY.size])
        self._entries = {key: (at, padded, crc) for at, (key, padded, crc) in enumerate(entries)}
        self._count, self._records = count, None

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def append(self, keys: Sequence[bytes], features: np.ndarray, padded: Sequence[bool]) -> None:
        """Add a batch; call it while holding the lock, after `refresh`.

        Args:
            keys: of N images.
            features: float32, N × the shape.
            padded: whether each image was smaller than the crop.
        """
        if not (self.folder / ABOUT).exists():
            write_json(self.about, self.folder / ABOUT)
        records = [np.ascontiguousarray(one, dtype=np.float32).tobytes() for one in features]
        entries = [
            ENTRY.pack(key, flag, zlib.crc32(record))
            for key, flag, record in zip(keys, padded, records, strict=True)
        ]
        self._write(RECORDS, self._count * self.record_bytes, b"".join(records))
        self._write(INDEX, self._count * ENTRY.size, b"".join(entries))
        for entry in entries:
            key, flag, crc = ENTRY.unpack(entry)
            self._entries[key] = self._count, flag, crc
            self._count += 1
        self._records = None

    def get(self, key: bytes) -> tuple[np.ndarray, bool]:
        """Return the features with `key`, and whether the image was padded.

        Raises:
            KeyError: there are none.
            GenspotError: they are damaged.
        """
        place, padded, crc = self._entries[key]
        if self._records is None:
            shape = (self._count, *self.shape)
            self._records = np.memmap(self.folder / RECORDS, np.float32, "r", shape=shape)
        features = np.array(self._records[place])
        if zlib.crc32(features.tobytes()) != crc:
            raise GenspotError(
                f"{self.folder} is damaged: a record differs from its checksum; remove the folder "
                "and start again: the features are computed again"
            )
        return features, padded

    def _write(self, name: str, start: int, content: bytes) -> None:
        path = self.folder / name
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(start)  # a batch that was cut short
            file.seek(start)
            file.write(content)
