"""The index of a packed label folder is read as it was written, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from genspot.data.packed.index import make_entry, read_entry, write_entry
from genspot.data.walk import find_images
from helpers.errors import error_of
from helpers.images import save_image, save_set


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A label folder with four images, one of them nested, and a text."""
    folder = save_set(tmp_path / "disk ö" / "set", 3, 1) / "0_real"
    save_image(folder / "sub" / "a.png", 1, fake=False)
    (folder / "sub" / "notes.txt").write_text("no image")
    return str(folder)


def test_entry_is_read_as_it_was_written(folder: str, tmp_path: Path) -> None:
    entry = make_entry("0_real", folder, find_images(folder), [(12, "a"), (3, "b")])
    write_entry(tmp_path / "index", entry)
    assert read_entry(tmp_path / "index") == entry
    assert entry.names.to_pylist() == ["000.png", "001.png", "002.png", "sub/a.png"]
    assert [path for path, _ in entry.left_out] == ["sub/notes.txt"]
    assert {name: images for name, (_, images) in entry.folders.items()} == {"": 3, "sub": 1}
    assert read_entry(tmp_path / "missing") is None


@pytest.mark.parametrize("name", ["new.png", "sub/new.png", "sub/deep/new.png"])
def test_changed_folder_is_found_at_any_depth(folder: str, name: str) -> None:
    os.mkdir(f"{folder}/sub/deep")
    for path in (folder, f"{folder}/sub", f"{folder}/sub/deep"):
        os.utime(path, ns=(1, 1))
    entry = make_entry("0_real", folder, find_images(folder), [])
    assert entry.changed_place(folder, find_images(folder)) is None
    save_image(Path(folder) / name, 1, fake=False)
    changed = entry.changed_place(folder, find_images(folder))
    assert changed == os.path.dirname(f"{folder}/{name}")


@pytest.mark.parametrize("change", ["name", "size"])
def test_another_data_set_with_equal_times_is_found(folder: str, change: str) -> None:
    os.utime(folder, ns=(1, 1))
    entry = make_entry("0_real", folder, find_images(folder), [])
    save_image(Path(folder) / "000.png", 5, fake=False, size=(20, 31))
    if change == "name":
        os.rename(f"{folder}/001.png", f"{folder}/other.png")
    os.utime(folder, ns=(1, 1))
    assert entry.changed_place(folder, find_images(folder)) == folder


@pytest.mark.parametrize("position", [0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content, at: content[:at],
        lambda content, at: content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :],
        lambda content, at: content[:at] + bytes(len(content) - at),
    ],
)
def test_damaged_index_is_named_in_one_line(
    damage: Callable[[bytes, int], bytes], position: float, folder: str, tmp_path: Path
) -> None:
    file = tmp_path / "index"
    write_entry(file, make_entry("0_real", folder, find_images(folder), [(1, "a")]))
    content = file.read_bytes()
    file.write_bytes(damage(content, int(position * len(content))))
    assert f"{file} is damaged" in error_of(read_entry, file)
