"""A packed store gives the samples of its files, to the bit, and is complete or refused."""

from __future__ import annotations

import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.dataset import ImageDataset, Sample, collate
from genspot.data.image_io import UnreadableError
from genspot.data.index import load_samples
from genspot.data.layout import LABELS
from genspot.data.packed import reader, writer
from genspot.data.packed.reader import open_packed, store_folder
from genspot.data.packed.writer import pack
from genspot.data.settings import Classes
from helpers.images import save_set


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reader, writer):
        monkeypatch.setattr(module, "SHARD_IMAGES", 6)
        monkeypatch.setattr(module, "BATCH_IMAGES", 4)


def save_mixed(folder: Path, copies: int, seed: int = 0) -> None:
    """Save `copies` files of each of ten kinds, with sides from 1 to 30 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(copies):
        height, width = rng.integers(10, 30, 2).tolist()
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        photo = Image.fromarray(pixels)
        photo.save(folder / f"rgb{number}.png")
        photo.convert("L").save(folder / f"grey{number}.png")
        photo.quantize(7).save(folder / f"palette{number}.png")
        photo.convert("1").save(folder / f"bilevel{number}.png")
        photo.convert("RGBA").save(folder / f"rgba{number}.png")
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(folder / f"deep{number}.png")
        photo.save(folder / f"jpeg{number}.jpg", quality=80)
        photo.crop((3, 3, 4, 4)).save(folder / f"dot{number}.png")
        (folder / f"broken{number}.png").write_bytes(b"no\nimage")
        content = (folder / f"rgb{number}.png").read_bytes()
        (folder / f"truncated{number}.png").write_bytes(content[: len(content) // 2])


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """20 real and 10 fake files of all kinds, six of them unreadable: 4 and 2 shards."""
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


def from_files(folder: Path, classes: Classes = None, **options: Any) -> ImageDataset:
    return ImageDataset(load_samples(folder, "gan", classes), **options)


def from_store(folder: Path, classes: Classes = None, **options: Any) -> ImageDataset:
    table, read = open_packed(folder, "gan", classes)
    return ImageDataset(table, read=read, **options)


def make_augmentation() -> albumentations.Compose:
    return albumentations.Compose([Blur(p=0.5), JPEG(p=0.5)])


def equal(first: Sample, second: Sample) -> bool:
    images = first["image"], second["image"]
    same_image = (images[0] is None) == (images[1] is None) and np.array_equal(*images)  # type: ignore[arg-type]
    return same_image and {**first, "image": None} == {**second, "image": None}


def all_samples(dataset: ImageDataset) -> list[Sample]:
    return [dataset[0, row] for row in range(len(dataset))]


def assert_equals_files(folder: Path, classes: Classes = None) -> None:
    files, store = from_files(folder, classes), from_store(folder, classes)
    assert store.table.equals(files.table) and len(files)
    assert all(map(equal, all_samples(files), all_samples(store)))


def error_of(call: Callable[..., object], *arguments: Any) -> str:
    with pytest.raises(GenspotError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def shards(folder: Path) -> dict[str, int]:
    """Return the shards of the store of `folder`, with their modification times."""
    store = store_folder(str(folder))
    files = [file for file in store.rglob("*.arrow") if file.name != reader.INDEX_FILE]
    return {file.relative_to(store).as_posix(): file.stat().st_mtime_ns for file in sorted(files)}


@contextmanager
def rewritten(folder: Path) -> Iterator[set[str]]:
    """Yield a set that holds, after the block, the shards that were written in it."""
    before, names = shards(folder), set[str]()
    yield names
    names.update(name for name, _ in shards(folder).items() - before.items())


def kill_pack(folder: Path, name: str) -> None:
    """Pack `folder`, and interrupt that when the image `name` is read."""
    read = image_io.read

    def interrupt(path: str) -> np.ndarray:
        if path.endswith(name):
            raise KeyboardInterrupt
        return read(path)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(image_io, "read", interrupt)
        pack(folder, "gan", None)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train": True, "geometry": Geometry(crop=12)},
        {"train": True, "geometry": Geometry(16, 12), "seed": 3},
        {"geometry": Geometry(16, 20)},
    ],
)
def test_samples_from_a_store_equal_those_from_files(mixed: Path, options: dict[str, Any]) -> None:
    pack(mixed, "gan", None)
    files = from_files(mixed, augment=make_augmentation(), **options)
    store = from_store(mixed, augment=make_augmentation(), **options)
    assert store.table.equals(files.table) and len(files) == 30
    indices = [(epoch, row) for epoch in (0, 1) for row in range(30)]
    random.Random(0).shuffle(indices)
    assert all(equal(files[index], store[index]) for index in indices)
    assert sum(bool(files[index]["unreadable"]) for index in indices) >= 12


def test_reader_returns_writable_copies_or_raises(mixed: Path) -> None:
    pack(mixed, "gan", None)
    table, read = open_packed(mixed, "gan", None)
    paths = list(enumerate(table["path"].to_pylist()))
    for row, path in paths + paths[::-1]:
        if "broken" in path or "truncated" in path:
            with pytest.raises(UnreadableError):
                read(row)
        else:
            pixels = read(row)
            np.testing.assert_array_equal(pixels, image_io.read_with_pil(path))
            pixels[:] = 7  # must not change what is read next


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_read_the_same(mixed: Path, workers: int) -> None:
    pack(mixed, "gan", None)
    options: dict[str, Any] = {"augment": make_augmentation(), "train": True}
    options["geometry"] = Geometry(crop=12)
    files, store = from_files(mixed, **options), from_store(mixed, **options)
    store[0, 0]  # a shard is open when the workers start
    indices = [(epoch, row) for epoch in (0, 1) for row in range(29, -1, -1)]
    loader = DataLoader(store, 4, sampler=indices, num_workers=workers, collate_fn=collate)
    for number, batch in enumerate(loader):
        expected = collate([files[index] for index in indices[4 * number : 4 * number + 4]])
        assert batch["unreadable"] == expected["unreadable"]
        for name in ("image", "label", "row", "padded"):
            assert batch[name].equal(expected[name])


def test_reader_can_be_pickled_before_and_after_use(plain: Path) -> None:
    pack(plain, "gan", None)
    _, read = open_packed(plain, "gan", None)
    before = pickle.dumps(read)
    expected = read(9)
    after = pickle.dumps(read)
    assert len(after) < 2000
    for content in (before, after):
        np.testing.assert_array_equal(pickle.loads(content)(9), expected)


def test_pack_twice_writes_shards_once(plain: Path) -> None:
    pack(plain, "gan", None)
    names = [f"0_real/0000{number}.arrow" for number in range(3)]
    assert list(shards(plain)) == [*names, "1_fake/00000.arrow"]
    with rewritten(plain) as written:
        pack(plain, "gan", None)
    assert not written


@pytest.mark.parametrize("name", ["0_real/000.png", "0_real/010.png", "1_fake/001.png"])
def test_pack_after_an_interruption_continues(plain: Path, name: str) -> None:
    kill_pack(plain, name)
    assert "task=pack" in error_of(open_packed, plain, "gan", None)
    before = shards(plain)
    pack(plain, "gan", None)
    assert before.items() <= shards(plain).items() and len(shards(plain)) == 4
    assert_equals_files(plain)
    assert not list(store_folder(str(plain)).rglob("*.partial"))


def test_pack_rewrites_the_shard_of_a_changed_image_only(mixed: Path) -> None:
    pack(mixed, "gan", None)
    image = mixed / "0_real" / "broken1.png"
    with rewritten(mixed) as written:
        Image.new("RGB", (9, 5), (1, 2, 3)).save(image)
        os.utime(image, ns=(1, 1))
        pack(mixed, "gan", None)
    assert written == {"0_real/00000.arrow"}
    assert_equals_files(mixed)


@pytest.mark.parametrize("name", ["000.png", "014.png"])
def test_pack_removes_a_removed_image(plain: Path, name: str) -> None:
    pack(plain, "gan", None)
    with rewritten(plain) as written:
        (plain / "0_real" / name).unlink()
        assert "task=pack" in error_of(open_packed, plain, "gan", None)
        pack(plain, "gan", None)
    assert "1_fake/00000.arrow" not in written
    assert_equals_files(plain)


def test_interrupted_pack_after_a_removal_is_refused_even_without_the_source(
    plain: Path, tmp_path: Path
) -> None:
    pack(plain, "gan", None)
    (plain / "0_real" / "000.png").unlink()
    kill_pack(plain, "0_real/010.png")
    plain.rename(tmp_path / "away")
    assert "lacks 0_real" in error_of(open_packed, plain, "gan", None)


def test_pack_raises_if_the_copy_differs_from_the_source(plain: Path) -> None:
    read = image_io.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_io, "read", lambda path: read(path) ^ path.endswith("007.png"))
        assert "007.png: the packed copy differs" in error_of(pack, plain, "gan", None)
    assert list(shards(plain)) == ["0_real/00000.arrow"]
    pack(plain, "gan", None)
    assert_equals_files(plain)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: bytes(range(256)) * (len(content) // 256 + 1),
    ],
)
def test_pack_replaces_a_damaged_shard(plain: Path, damage: Callable[[bytes], bytes]) -> None:
    pack(plain, "gan", None)
    shard = store_folder(str(plain)) / "0_real" / "00001.arrow"
    shard.write_bytes(damage(shard.read_bytes()))
    with rewritten(plain) as written:
        pack(plain, "gan", None)
    assert written == {"0_real/00001.arrow"}
    assert_equals_files(plain)


@pytest.mark.parametrize("name", LABELS)
def test_open_raises_after_a_folder_changed(plain: Path, name: str) -> None:
    pack(plain, "gan", None)
    (plain / name / "zebra.png").touch()
    message = error_of(open_packed, plain, "gan", None)
    assert "task=pack" in message and str(plain / name) in message


@pytest.mark.parametrize("classes", [None, "any", ["cat"]])
def test_open_without_a_store_says_how_to_pack(tmp_path: Path, classes: Classes) -> None:
    assert "task=pack" in error_of(open_packed, tmp_path / "nowhere", "gan", classes)


def test_open_names_a_class_or_shard_that_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        save_set(root / name, 2, 2)
    pack(root, "gan", ["cat"])
    assert "lacks dog/0_real" in error_of(open_packed, root, "gan", ["cat", "dog"])
    assert_equals_files(root, ["cat"])
    (store_folder(str(root)) / "cat" / "1_fake" / "00000.arrow").unlink()
    assert "00000.arrow is missing" in error_of(open_packed, root, "gan", ["cat"])


@pytest.mark.parametrize("classes", [["dog"], ["cat", "bee", "dog"], "any"])
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
    found = from_store(root, classes)
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
    expected = load_samples(root, "gan", "any")
    root.rename(tmp_path / "away")
    assert open_packed(root, "gan", "any")[0].equals(expected)


def test_store_copied_alone_names_its_new_place(plain: Path, tmp_path: Path) -> None:
    pack(plain, "gan", None)
    copy = tmp_path / "another machine" / "train"
    shutil.copytree(store_folder(str(plain)), store_folder(str(copy)))
    expected, found = from_files(plain), from_store(copy)
    names = [Path(path).relative_to(plain) for path in expected.table["path"].to_pylist()]
    assert found.table["path"].to_pylist() == [str(copy / name) for name in names]
    assert all(map(equal, all_samples(found), all_samples(expected)))


def test_empty_and_unreadable_folders_are_packed(tmp_path: Path) -> None:
    (tmp_path / "set" / "0_real").mkdir(parents=True)
    (tmp_path / "set" / "1_fake").mkdir()
    for number in range(9):
        (tmp_path / "set" / "1_fake" / f"{number}.png").touch()
    pack(tmp_path / "set", "gan", None)
    assert_equals_files(tmp_path / "set")


def test_pack_refuses_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    save_set(tmp_path / "set" / os.fsdecode(b"caf\xe9"), 1, 1)
    assert r"caf\xe9" in error_of(pack, tmp_path / "set", "gan", "any")


@pytest.mark.parametrize("free", [0, 1000])
def test_pack_on_a_full_disk_raises_before_it_writes(
    plain: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    usage = shutil.disk_usage(plain)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    message = error_of(pack, plain, "gan", None)
    assert str(store_folder(str(plain))) in message and "GB" in message
    assert not shards(plain)


def test_pack_logs_the_size_of_the_decoded_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sizes = [(700, 900), (1100, 300), (512, 1000), (1, 1)]
    for number, size in enumerate(sizes):
        folder = tmp_path / "set" / list(LABELS)[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", size).save(folder / f"{number}.png")
    (tmp_path / "set" / "0_real" / "broken.png").touch()
    caplog.set_level("INFO")
    pack(tmp_path / "set", "gan", None)
    expected = sum(3 * width * height for width, height in sizes) / 1e9
    assert f"5 of 5 images to pack, about {expected:.3f} GB" in caplog.text
    assert "holds 5 images" in caplog.text
