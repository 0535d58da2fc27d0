"""A packed copy gives the samples of its files, to the bit, or is refused."""

from __future__ import annotations

import pickle
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.image_io import UnreadableError
from genspot.data.label_folders import LABELS
from genspot.data.packed.index import INDEX_FILE
from genspot.data.packed.reader import open_packed
from genspot.data.packed.sources import packed_folder
from genspot.data.packed.writer import pack
from genspot.data.places import load_samples
from genspot.data.settings import Classes
from genspot.data.walk import PACKED_LIST
from helpers.errors import error_of
from helpers.images import save_image, save_set
from helpers.packed_sets import (
    all_samples,
    assert_equals_files,
    equal,
    from_files,
    from_packed,
    make_augmentation,
)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train": True, "geometry": Geometry(crop=12)},
        {"train": True, "geometry": Geometry(16, 12), "seed": 3},
        {"geometry": Geometry(16, 20)},
    ],
)
def test_samples_from_a_packed_copy_equal_those_from_files(
    mixed: Path, options: dict[str, Any]
) -> None:
    pack(mixed, "gan", None)
    files = from_files(mixed, augment=make_augmentation(), **options)
    packed = from_packed(mixed, augment=make_augmentation(), **options)
    assert packed.table.equals(files.table) and len(files) == 24
    indices = [(epoch, row) for epoch in (0, 1) for row in range(24)]
    random.Random(0).shuffle(indices)
    assert all(equal(files[index], packed[index]) for index in indices)
    assert sum(bool(files[index]["unreadable"]) for index in indices) >= 12


def test_reader_returns_writable_copies_or_raises(mixed: Path) -> None:
    pack(mixed, "gan", None)
    listing, read = open_packed(mixed, "gan", None)
    paths = list(enumerate(listing.table["path"].to_pylist()))
    for row, path in paths + paths[::-1]:
        if "broken" in path or "truncated" in path:
            with pytest.raises(UnreadableError):
                read(row)
        else:
            pixels = read(row)
            np.testing.assert_array_equal(pixels, image_io.read_with_pil(path))
            pixels[:] = 7  # must not change what is read next


def test_reader_can_be_pickled_before_and_after_use(plain: Path) -> None:
    pack(plain, "gan", None)
    _, read = open_packed(plain, "gan", None)
    before = pickle.dumps(read)
    expected = read(9)
    after = pickle.dumps(read)
    assert len(after) < 2000
    for content in (before, after):
        np.testing.assert_array_equal(pickle.loads(content)(9), expected)


@pytest.mark.parametrize("classes", [None, "any", ["cat"]])
def test_open_without_a_packed_copy_says_how_to_pack(tmp_path: Path, classes: Classes) -> None:
    assert "task=pack" in error_of(open_packed, tmp_path / "nowhere", "gan", classes)


def test_open_names_a_class_or_shard_that_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        save_set(root / name, 2, 2)
    pack(root, "gan", ["cat"])
    assert f"no packed copy of {root}/dog/0_real" in error_of(
        open_packed, root, "gan", ["cat", "dog"]
    )
    assert_equals_files(root, ["cat"])
    (packed_folder(str(root)) / "cat" / "1_fake" / "00000.arrow").unlink()
    assert "00000.arrow is missing" in error_of(open_packed, root, "gan", ["cat"])


@pytest.mark.parametrize("classes", [["cat", "bee", "dog"], "any"])
@pytest.mark.parametrize("source", [True, False])
def test_open_selects_classes_in_the_order_of_the_files(
    tmp_path: Path, classes: Classes, source: bool
) -> None:
    root = tmp_path / "set"
    for seed, name in enumerate(("cat", "dog", "bee")):
        save_set(root / name, 7, 2, seed)
    for packed in (["dog"], "any", ["bee"]):
        pack(root, "gan", packed)
    expected = from_files(root, classes)
    samples = all_samples(expected)
    if not source:
        root.rename(tmp_path / "away")
    found = from_packed(root, classes)
    assert found.table.equals(expected.table)
    assert all(map(equal, all_samples(found), samples))


@pytest.mark.parametrize("names", [("", "a", "z"), ("a", "a/-", "a/b")])
def test_open_without_the_source_keeps_the_order_of_nested_classes(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    root = tmp_path / "set"
    for seed, name in enumerate(names):
        save_set(root / name, 2, 1, seed)
    pack(root, "gan", "any")
    expected = load_samples(root, "gan", "any").table
    root.rename(tmp_path / "away")
    assert open_packed(root, "gan", "any")[0].table.equals(expected)


def test_packed_copy_moved_alone_names_its_new_place(plain: Path, tmp_path: Path) -> None:
    pack(plain, "gan", None)
    copy = tmp_path / "another machine" / "train"
    shutil.copytree(packed_folder(str(plain)), packed_folder(str(copy)))
    expected, found = from_files(plain), from_packed(copy)
    names = [Path(path).relative_to(plain) for path in expected.table["path"].to_pylist()]
    assert found.table["path"].to_pylist() == [str(copy / name) for name in names]
    assert all(map(equal, all_samples(found), all_samples(expected)))


def packed_shard(folder: Path) -> Path:
    return packed_folder(str(folder)) / "0_real" / "00001.arrow"


@pytest.mark.parametrize("position", [0.2, 0.5, 0.8])
def test_reader_refuses_an_image_whose_pixels_changed(plain: Path, position: float) -> None:
    pack(plain, "gan", None)
    shard = packed_shard(plain)
    expected = all_samples(from_packed(plain))
    content = bytearray(shard.read_bytes())
    content[int(position * len(content))] ^= 1
    shard.write_bytes(content)
    samples = all_samples(from_packed(plain))
    different = [row for row, one in enumerate(samples) if not equal(one, expected[row])]
    assert different and set(different) <= set(range(6, 12))  # the images of that shard
    for row in different:
        [(_, reason)] = samples[row]["unreadable"]
        assert samples[row]["image"] is None
        assert str(shard) in reason and "task=pack" in reason


@pytest.mark.parametrize("start", [8, 1000, 20_000])
def test_reader_never_returns_an_image_of_a_shard_overwritten_by_zeros(
    plain: Path, start: int
) -> None:
    pack(plain, "gan", None)
    shard = packed_shard(plain)
    expected = all_samples(from_packed(plain))
    opened, content = from_packed(plain), shard.read_bytes()
    shard.write_bytes(content[:start] + bytes(len(content) - start))
    assert f"{shard} is damaged; task=pack" in error_of(open_packed, plain, "gan", None)
    for row, sample in enumerate(all_samples(opened)):
        assert equal(sample, expected[row]) or str(shard) in sample["unreadable"][0][1]


def test_open_names_a_shard_of_another_size(plain: Path) -> None:
    pack(plain, "gan", None)
    shard = packed_shard(plain)
    shard.write_bytes(shard.read_bytes()[:-100])
    message = error_of(open_packed, plain, "gan", None)
    assert f"{shard} is damaged" in message and "task=pack" in message


def copy_of_two_classes(root: Path) -> Path:
    """Pack two classes of equal names, and return the copy; the source is not changed later."""
    for seed, name in enumerate(("cat", "dog")):
        save_set(root / name, 2, 2, seed)
    pack(root, "gan", "any")
    return packed_folder(str(root))


@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("places", [("cat/0_real", "cat/1_fake"), ("cat/0_real", "dog/0_real")])
@pytest.mark.parametrize("name", ["00000.arrow", "*"])
def test_open_refuses_what_is_of_another_label_or_class(
    name: str, places: tuple[str, str], source: bool, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    copy = copy_of_two_classes(root)
    for file in list((copy / places[0]).glob(name)):
        file.rename(tmp_path / "between")
        (copy / places[1] / file.name).rename(file)
        (tmp_path / "between").rename(copy / places[1] / file.name)
    if not source:
        root.rename(tmp_path / "away")
    message = error_of(open_packed, root, "gan", "any")
    assert "another folder" in message or "is damaged" in message  # by another size
    if not source:
        (tmp_path / "away").rename(root)
    pack(root, "gan", "any")
    assert_equals_files(root, "any")


def test_open_refuses_a_copy_without_all_its_classes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    copy = copy_of_two_classes(root)
    root.rename(tmp_path / "away")
    for label in LABELS:
        (copy / "dog" / label / INDEX_FILE).unlink()
    assert f"no packed copy of {root}/dog/0_real" in error_of(open_packed, root, "gan", "any")
    shutil.rmtree(copy / "dog")
    assert f"no packed copy of {root}/dog/0_real" in error_of(open_packed, root, "gan", "any")
    (copy / PACKED_LIST).write_text("{")
    assert f"{copy / PACKED_LIST} is damaged" in error_of(open_packed, root, "gan", "any")


def test_open_names_a_shard_that_may_not_be_read(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(plain, "gan", None)
    memory_map = pa.memory_map

    def refuse(path: str) -> pa.MemoryMappedFile:
        if path.endswith("0_real/00001.arrow"):
            raise PermissionError(13, "Failed to open local file")
        return memory_map(path)

    monkeypatch.setattr(pa, "memory_map", refuse)
    message = f"{packed_shard(plain)} cannot be read: Permission denied"
    assert error_of(open_packed, plain, "gan", None) == message
    assert error_of(pack, plain, "gan", None) == message


def test_open_names_a_damaged_index(plain: Path) -> None:
    pack(plain, "gan", None)
    index = packed_shard(plain).with_name(INDEX_FILE)
    content = bytearray(index.read_bytes())
    content[len(content) // 2] ^= 4
    index.write_bytes(content)
    message = error_of(open_packed, plain, "gan", None)
    assert f"{index} is damaged" in message and "task=pack" in message
    pack(plain, "gan", None)
    assert_equals_files(plain)


def test_packed_copy_has_nested_and_linked_images(plain: Path, tmp_path: Path) -> None:
    save_set(tmp_path / "store", 2, 0, seed=3)
    save_image(plain / "1_fake" / "sub" / "deep" / "a.png", 8, fake=True)
    (plain / "0_real" / "linked").symlink_to(tmp_path / "store" / "0_real")
    (plain / "0_real" / "loop").symlink_to("..")
    (plain / "0_real" / "notes.txt").write_text("no image")
    pack(plain, "gan", None)
    assert_equals_files(plain)
    files, packed = load_samples(plain, "gan", None), open_packed(plain, "gan", None)[0]
    assert packed.table.equals(files.table) and len(packed.table) == 21
    assert packed.skipped.equals(files.skipped) and len(packed.skipped) == 2
    assert np.array_equal(packed.file_ids, files.file_ids)
    save_image(tmp_path / "store" / "0_real" / "new.png", 9, fake=False)
    assert "linked changed since it was packed" in error_of(open_packed, plain, "gan", None)
