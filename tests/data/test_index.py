"""The index lists what a folder holds, and lists a folder again only after it changed."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.data import index
from genspot.data.index import FolderEntry, cache_folders, load_samples, write_entry
from genspot.data.layout import EXTENSIONS, LABELS, LabelFolder
from genspot.data.settings import Classes
from helpers.images import save_image, save_set

Rows = list[tuple[str, str, int]]


def age(folder: Path, hours: int = 1) -> None:
    """Set all modification times below `folder` to the past."""
    mtime_ns = folder.stat().st_mtime_ns - hours * 3_600_000_000_000
    for parent, _, _ in os.walk(folder):
        os.utime(parent, ns=(mtime_ns, mtime_ns))


def walk(folder: Path) -> Rows:
    """Return what an index should hold."""
    found = []
    for parent, _, names in os.walk(folder):
        label_name, class_name = os.path.basename(parent), os.path.dirname(parent)
        if label_name in LABELS:
            class_name = os.path.relpath(class_name, folder)
            files = [name for name in names if name.lower().endswith(EXTENSIONS)]
            found += [(class_name, label_name, os.path.join(parent, name)) for name in files]
    return [
        (path, "" if class_name == "." else class_name, LABELS[label_name])
        for class_name, label_name, path in sorted(found)
    ]


def rows(folder: Path, classes: Classes = "any") -> Rows:
    table = load_samples(folder, "gan", classes)
    return [(row["path"], row["class"], row["label"]) for row in table.to_pylist()]


def index_files(root: Path) -> list[Path]:
    return sorted(cache_folders(str(root))[0].rglob("*.arrow"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes that have not changed for an hour."""
    for name in ("cat", "cow", "dog"):
        save_set(tmp_path / "set" / name, 2, 1)
    age(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The label folders that were listed."""
    folders: list[str] = []
    list_images = index.list_images

    def spy(folder: str) -> list[str]:
        folders.append(folder)
        return list_images(folder)

    monkeypatch.setattr(index, "list_images", spy)
    return folders


@pytest.mark.parametrize("classes", ["any", ["cow", "cat", "dog"]])
def test_load_samples_twice_lists_nothing_the_second_time(
    root: Path, classes: Classes, listed: list[str]
) -> None:
    first = load_samples(root, "gan", classes)
    assert len(listed) == 6
    second = load_samples(str(root) + "/", "gan", classes)
    assert second.equals(first) and len(listed) == 6
    assert rows(root, classes) == walk(root)
    renamed = load_samples(root, "other", classes)
    assert set(renamed["generator"].to_pylist()) == {"other"}


def test_folder_that_has_just_changed_is_listed_again(root: Path, listed: list[str]) -> None:
    fake = root / "cow" / "1_fake"
    soon = time.time() + 60
    os.utime(fake, (soon, soon))
    for _ in range(2):
        assert rows(root) == walk(root)
    assert listed.count(str(fake)) == 2 and len(listed) == 7


def add_file(folder: Path) -> None:
    save_image(folder / "zebra.png", 9, fake=False, size=(7, 8))


def remove_file(folder: Path) -> None:
    (folder / "000.png").unlink()


@pytest.mark.parametrize("change", [add_file, remove_file])
def test_only_the_changed_label_folder_is_listed_again(
    root: Path, change: Callable[[Path], None], listed: list[str]
) -> None:
    rows(root)
    listed.clear()
    change(root / "cow" / "1_fake")
    assert rows(root) == walk(root)
    assert listed == [str(root / "cow" / "1_fake")]


def test_subsets_of_classes_share_one_index(root: Path, listed: list[str]) -> None:
    everything = walk(root)
    for classes in (["cat"], ["dog", "cow"], ["cow", "cat", "dog"]):
        expected = [row for name in sorted(classes) for row in everything if row[1] == name]
        assert rows(root, classes) == expected
    assert len(listed) == len(set(listed)) == 6


def test_moved_set_keeps_its_index_and_gets_its_new_paths(
    tmp_path: Path, listed: list[str]
) -> None:
    root = save_set(tmp_path / "disk ö" / "set", 2, 3)
    age(root)
    assert rows(root) == walk(root)
    listed.clear()
    moved = root.parent.rename(tmp_path / "a longer name, ünd \U0001f600") / "set"
    assert rows(moved) == walk(moved)
    assert not listed


def test_set_moved_to_the_place_of_another_is_listed(tmp_path: Path) -> None:
    for name, reals in (("one", 2), ("two", 3)):
        save_set(tmp_path / name, reals, 1, seed=reals)
        age(tmp_path / name, hours=reals)
        rows(tmp_path / name)
    (tmp_path / "one").rename(tmp_path / "gone")
    (tmp_path / "two").rename(tmp_path / "one")
    assert rows(tmp_path / "one") == walk(tmp_path / "one")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"ARROW1\0\0" + bytes(range(256)) * 8 + b"\xff\0\0\0ARROW1",
        lambda content: content.replace(b"mtime_ns", b"ntime_ms"),
    ],
)
def test_damaged_index_file_is_replaced(
    root: Path, damage: Callable[[bytes], bytes], listed: list[str]
) -> None:
    rows(root)
    listed.clear()
    file = index_files(root)[0]
    file.write_bytes(damage(file.read_bytes()))
    file.with_name(f"{file.name}.partial").write_bytes(b"left by a killed run")
    for _ in range(2):
        assert rows(root) == walk(root)
    assert len(listed) == 1
    assert not list(file.parent.glob("*.partial"))


def test_index_is_elsewhere_if_nothing_can_be_written_beside_the_set(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: list[str]
) -> None:
    (tmp_path / "file").touch()
    folders = [tmp_path / "file" / "index", tmp_path / "elsewhere"]
    monkeypatch.setattr(index, "cache_folders", lambda root: folders)
    for _ in range(2):
        assert rows(root) == walk(root)
    assert len(listed) == 6 and len(list(folders[1].rglob("*.arrow"))) == 6


def test_table_is_right_if_no_index_can_be_written(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(root)
    add_file(root / "cat" / "0_real")  # the index is outdated, and stays so

    def deny(file: Path, folder: str, entry: FolderEntry) -> None:
        raise OSError(30, "Read-only file system", str(file))

    monkeypatch.setattr(index, "write_entry", deny)
    for _ in range(2):
        assert rows(root) == walk(root)


def test_processes_that_list_at_once_all_get_the_table(root: Path) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found in pool.starmap(rows, [(root,)] * 4, chunksize=1):
            assert found == walk(root)


def test_large_index_is_mapped_not_read(tmp_path: Path, listed: list[str]) -> None:
    root, count = tmp_path / "set", 100_000
    cache = cache_folders(str(root))[0]
    for name, label in LABELS.items():
        (root / name).mkdir(parents=True)
        os.utime(root / name, ns=(1, 1))
        paths = pa.chunked_array([[f"{root}/{name}/{row:08d}.png" for row in range(count)]])
        entry = FolderEntry(1, time.time_ns(), paths.cast(pa.large_string()))
        folder = LabelFolder(str(root / name), "", label)
        write_entry(index.cache_file(cache, str(root), folder), folder.path, entry)
    del paths, entry
    before = pa.total_allocated_bytes()
    table = load_samples(root, "gan", None)
    allocated = pa.total_allocated_bytes() - before
    assert table.num_rows == 2 * count and not listed
    assert table["path"][2 * count - 1].as_py() == f"{root}/1_fake/{count - 1:08d}.png"
    assert allocated < sum(file.stat().st_size for file in index_files(root)) / 100
