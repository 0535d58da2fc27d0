"""Weights & Biases' own file of a run, which it would upload, read back."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2


def records(run: Path) -> Iterator[wandb_internal_pb2.Record]:
    """W&B's own messages in its file: LevelDB's log format, 32 KiB blocks behind 7 bytes.

    Each chunk has a checksum, a length and a type: 1 whole, 2 first, 3 middle, 4 last.
    """
    (file,) = run.glob("*.wandb")
    data, place, whole = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        checksum, length, kind = struct.unpack("<IHB", data[place : place + 7])
        chunk = data[place + 7 : place + 7 + length]
        assert checksum == zlib.crc32(bytes([kind]) + chunk)
        whole = chunk if kind in (1, 2) else whole + chunk
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(whole)
        place += 7 + length


def values(run: Path, kind: str) -> dict[str, Any]:
    """The last value of each key that the file's `kind` records ("summary", "config") set."""
    found: dict[str, Any] = {}
    for record in records(run):
        if record.WhichOneof("record_type") == kind:
            for item in getattr(record, kind).update:
                found["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return found


def begun(run: Path) -> wandb_internal_pb2.RunRecord:
    return next(one.run for one in records(run) if one.WhichOneof("record_type") == "run")
