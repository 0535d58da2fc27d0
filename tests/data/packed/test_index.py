"""The index of a packed label folder survives a move of the data set, and damage is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genspot.data.layout import LabelFolder
from genspot.data.packed.index import list_folder, read_entry, write_entry
from helpers.images import save_set


@pytest.fixture
def folder(tmp_path: Path) -> LabelFolder:
    return LabelFolder(str(save_set(tmp_path / "disk ö" / "set", 3, 1) / "0_real"), "", 0)


def test_entry_is_read_as_it_was_written(folder: LabelFolder, tmp_path: Path) -> None:
    entry = list_folder(folder)
    assert len(entry.paths) == 3
    write_entry(tmp_path / "index.arrow", folder.path, entry)
    found = read_entry(tmp_path / "index.arrow", folder.path)
    assert found is not None
    assert (found.mtime_ns, found.paths.to_pylist()) == (entry.mtime_ns, entry.paths.to_pylist())


def test_entry_of_a_moved_set_has_its_new_paths(folder: LabelFolder, tmp_path: Path) -> None:
    write_entry(tmp_path / "index.arrow", folder.path, list_folder(folder))
    moved = Path(folder.path).rename(tmp_path / "a longer name, ünd \U0001f600")
    found = read_entry(tmp_path / "index.arrow", str(moved))
    assert found is not None
    assert found.paths.to_pylist() == sorted(map(str, moved.iterdir()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"ARROW1\0\0" + bytes(range(256)) * 8 + b"\xff\0\0\0ARROW1",
        lambda content: content.replace(b"mtime_ns", b"ntime_ms"),
    ],
)
def test_damaged_entry_is_none(
    damage: Callable[[bytes], bytes], folder: LabelFolder, tmp_path: Path
) -> None:
    file = tmp_path / "index.arrow"
    write_entry(file, folder.path, list_folder(folder))
    file.write_bytes(damage(file.read_bytes()))
    assert read_entry(file, folder.path) is None
    assert read_entry(tmp_path / "missing", folder.path) is None
