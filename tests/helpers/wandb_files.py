"""Reads the file of a Weights & Biases run, which `wandb sync` would upload."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2


def offline_runs(folder: Path) -> list[Path]:
    """Return the folders of the offline runs in the run folder `folder`."""
    wandb.teardown()  # waits until the last block is written, which finishing a run does not
    return sorted((folder / "wandb").glob("offline-run-*"))


def records(run: Path) -> Iterator[wandb_internal_pb2.Record]:
    """Yield W&B's messages: LevelDB's log format, blocks of 32 KiB after a header of 7 bytes.

    Each chunk has a checksum, a length and a type: 1 whole, 2 first, 3 middle, 4 last.
    """
    (file,) = run.glob("*.wandb")
    data, offset, message = file.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while offset + 7 <= len(data):
        if (remaining := 32768 - offset % 32768) < 7:
            offset += remaining
            continue
        checksum, length, kind = struct.unpack("<IHB", data[offset : offset + 7])
        chunk = data[offset + 7 : offset + 7 + length]
        assert checksum == zlib.crc32(bytes([kind]) + chunk)
        message = chunk if kind in (1, 2) else message + chunk
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(message)
        offset += 7 + length


def values(run: Path, kind: str) -> dict[str, Any]:
    """Return the last value of each key in the records of `kind`: "summary" or "config"."""
    found: dict[str, Any] = {}
    for record in records(run):
        if record.WhichOneof("record_type") == kind:
            for item in getattr(record, kind).update:
                found["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return found


def start_record(run: Path) -> wandb_internal_pb2.RunRecord:
    """Return the record with which the run started."""
    return next(one.run for one in records(run) if one.WhichOneof("record_type") == "run")


def table_file(run: Path, key: str) -> dict[str, Any]:
    """Return the content of the table that was logged as `key`."""
    (file,) = (run / "files" / "media" / "table").glob(f"{key}_*.table.json")
    content: dict[str, Any] = json.loads(file.read_text())
    return content
