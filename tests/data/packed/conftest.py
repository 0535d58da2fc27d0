"""Sets to pack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genspot.data.label_folders import LABELS
from genspot.data.packed import folder_writer, index, reader, shard, shard_writer
from helpers.images import save_set
from helpers.packed_sets import save_mixed


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (folder_writer, index, reader):
        monkeypatch.setattr(module, "SHARD_IMAGES", 6)
    for module in (shard, shard_writer):
        monkeypatch.setattr(module, "BATCH_IMAGES", 4)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """16 real and 8 fake files of all kinds, six of them unreadable: 3 and 2 shards."""
    save_mixed(tmp_path / "set" / "0_real", 2, seed=1)
    save_mixed(tmp_path / "set" / "1_fake", 1, seed=2)
    return tmp_path / "set"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """15 real and 3 fake readable images: 3 shards and 1; unchanged for long."""
    folder = save_set(tmp_path / "set", 15, 3)
    for name in LABELS:
        os.utime(folder / name, ns=(1, 1))
    return folder
