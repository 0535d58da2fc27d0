"""A packed set gives the samples of its files, to the bit, and is whole or refused."""

from __future__ import annotations

import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import albumentations
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from torch.utils.data import DataLoader

import genspot.data.packed.writer
import genspot.data.packed.reader
from genspot.augment.blur import Blur
from genspot.augment.jpeg import JPEG
from conftest import save_set
from genspot.data import image_io as images
from genspot.data.dataset import ImageDataset, Sample, collate
from genspot.common.errors import GenspotError
from genspot.data.layout import LABELS
from genspot.data.index import scan
from genspot.data.packed.writer import pack
from genspot.data.packed.reader import Packed, open_store, store_of

SHARD, BATCH = 6, 4


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (genspot.data.packed.reader, genspot.data.packed.writer):
        monkeypatch.setattr(module, "SHARD", SHARD)
        monkeypatch.setattr(module, "BATCH", BATCH)


def save_mixed(half: Path, copies: int, seed: int = 0) -> None:
    """`copies` files of each kind, of sides from 1 to 30."""
    half.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    for number in range(copies):
        height, width = draws.integers(10, 30, 2).tolist()
        rgb = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
        photo = Image.fromarray(rgb)
        photo.save(half / f"rgb{number}.png")
        photo.convert("L").save(half / f"grey{number}.png")
        photo.quantize(7).save(half / f"palette{number}.png")
        photo.convert("1").save(half / f"bilevel{number}.png")
        photo.convert("RGBA").save(half / f"rgba{number}.png")
        Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(half / f"deep{number}.png")
        photo.save(half / f"jpeg{number}.jpg", quality=80)
        photo.crop((3, 3, 4, 4)).save(half / f"dot{number}.png")
        (half / f"broken{number}.png").write_bytes(b"no\nimage")
        whole = (half / f"rgb{number}.png").read_bytes()
        (half / f"torn{number}.png").write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All kinds of files, in halves of several shards."""
    folder = tmp_path / "set"
    save_mixed(folder / "0_real", 2, seed=1)
    save_mixed(folder / "1_fake", 1, seed=2)
    return folder


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Halves of 15 and 3 sound images: 3 shards and 1; long unchanged."""
    folder = save_set(tmp_path / "set", 15, 3)
    for half in LABELS:
        os.utime(folder / half, ns=(1, 1))
    return folder


class Written(NamedTuple):
    """The shards that are written, and after how many the pack dies."""

    names: list[str]
    limit: list[int]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    found = Written([], [1000])
    write = genspot.data.packed.writer._write

    def spy(file: Path, *arguments: Any) -> None:
        if len(found.names) == found.limit[0]:
            raise KeyboardInterrupt
        found.names.append("/".join(file.parts[-2:]))
        write(file, *arguments)

    monkeypatch.setattr(genspot.data.packed.writer, "_write", spy)
    return found


def of_files(
    folder: Path, classes: list[str] | str | None = None, **settings: Any
) -> ImageDataset:
    return ImageDataset(scan(folder, "gan", classes), **settings)


def of_store(
    folder: Path, classes: list[str] | str | None = None, **settings: Any
) -> ImageDataset:
    table, read = open_store(folder, "gan", classes)
    return ImageDataset(table, read=read, **settings)


def degrade() -> albumentations.Compose:
    return albumentations.Compose([Blur(p=0.5), JPEG(p=0.5)])


def same(one: Sample, other: Sample) -> bool:
    ours, theirs = one["image"], other["image"]
    if ours is None or theirs is None:
        alike = ours is theirs
    else:
        alike = ours.dtype == theirs.dtype == np.uint8 and np.array_equal(ours, theirs)
    return alike and {**one, "image": None} == {**other, "image": None}


def stores_what_the_files_hold(folder: Path, classes: list[str] | str | None = None) -> bool:
    files, store = of_files(folder, classes), of_store(folder, classes)
    assert store.table.equals(files.table) and len(files)
    return all(same(files[0, row], store[0, row]) for row in range(len(files)))


def refused(call: Callable[..., object], *arguments: Any) -> str:
    with pytest.raises(GenspotError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"crop": 12},
        {"train": True, "crop": 12},
        {"train": True, "crop": 12, "resize": 16, "seed": 3},
        {"resize": 16, "crop": 20},
    ],
)
def test_samples_from_a_store_are_those_from_the_files(
    folder: Path, settings: dict[str, Any]
) -> None:
    pack(folder, "gan", None)
    files = of_files(folder, augment=degrade(), **settings)
    store = of_store(folder, augment=degrade(), **settings)
    assert store.table.equals(files.table) and len(files) == 30
    draws = [(epoch, row) for epoch in (0, 1) for row in range(30)]
    random.Random(0).shuffle(draws)
    unreadable = 0
    for draw in draws:
        one, other = files[draw], store[draw]
        unreadable += bool(one["unreadable"])
        assert same(one, other), draw
    assert unreadable >= 2 * 3 * 2


def test_packed_images_are_pils_and_may_be_written_to(folder: Path) -> None:
    pack(folder, "gan", None)
    table, read = open_store(folder, "gan", None)
    rows = list(enumerate(table["path"].to_pylist()))
    for row, path in rows + rows[::-1] + rows[::7]:
        if "broken" in path or "torn" in path:
            with pytest.raises(images.UnreadableError):
                read(row)
            continue
        pixels = read(row)
        with Image.open(path) as image:
            if image.mode == "I;16":  # PIL would clip it
                image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
            np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))
        pixels[:] = 7  # the next reading of the row shall not see this


def test_a_class_whose_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    save_set(tmp_path / "set" / name, 1, 1)
    assert r"caf\xe9" in refused(pack, tmp_path / "set", "gan", "any")


def test_no_shard_holds_more_than_its_share(plain: Path) -> None:
    pack(plain, "gan", None)
    found = sorted(
        path.relative_to(store_of(plain)).as_posix()
        for path in store_of(plain).rglob("*.arrow")
        if path.name != "index.arrow"
    )
    assert found == [f"0_real/0000{n}.arrow" for n in range(3)] + ["1_fake/00000.arrow"]
    assert not list(store_of(plain).rglob("*.partial"))


def test_a_packed_set_is_not_packed_again(plain: Path, written: Written) -> None:
    pack(plain, "gan", None)
    assert len(written.names) == 4
    pack(plain, "gan", None)
    assert len(written.names) == 4


@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_killed_pack_goes_on_where_it_was(plain: Path, written: Written, done: int) -> None:
    written.limit[0] = done
    with pytest.raises(KeyboardInterrupt):
        pack(plain, "gan", None)
    assert "task=pack" in refused(open_store, plain, "gan", None)
    written.limit[0] = 1000
    pack(plain, "gan", None)
    assert len(written.names) == len(set(written.names)) == 4
    assert stores_what_the_files_hold(plain)


def test_a_pack_killed_within_a_shard_writes_that_shard_anew(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, count = genspot.data.packed.writer._batch, iter(range(1000))

    def dying(*arguments: Any) -> pa.RecordBatch:
        if next(count) == 3:
            raise KeyboardInterrupt
        return batch(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(genspot.data.packed.writer, "_batch", dying)
        pack(plain, "gan", None)
    assert list(store_of(plain).rglob("*.partial"))
    pack(plain, "gan", None)
    assert not list(store_of(plain).rglob("*.partial"))
    assert stores_what_the_files_hold(plain)


def test_a_changed_image_is_packed_again_and_no_other_shard(plain: Path, written: Written) -> None:
    pack(plain, "gan", None)
    written.names.clear()
    image = plain / "0_real" / "007.png"
    Image.new("RGB", (9, 5), (1, 2, 3)).save(image)
    os.utime(image, ns=(1, 1))
    pack(plain, "gan", None)
    assert written.names == ["0_real/00001.arrow"]
    assert stores_what_the_files_hold(plain)


@pytest.mark.parametrize("name", ["000.png", "007.png", "014.png"])
def test_a_removed_image_is_gone_from_the_store(plain: Path, name: str, written: Written) -> None:
    pack(plain, "gan", None)
    written.names.clear()
    (plain / "0_real" / name).unlink()
    assert "task=pack" in refused(open_store, plain, "gan", None)
    pack(plain, "gan", None)
    assert "1_fake/00000.arrow" not in written.names
    assert stores_what_the_files_hold(plain)


def test_a_broken_file_that_was_mended_is_packed_again(folder: Path) -> None:
    pack(folder, "gan", None)
    Image.new("RGB", (9, 5), (1, 2, 3)).save(folder / "0_real" / "broken1.png")
    os.utime(folder / "0_real" / "broken1.png", ns=(1, 1))
    pack(folder, "gan", None)
    assert stores_what_the_files_hold(folder)
    assert sum(bool(of_store(folder)[0, row]["unreadable"]) for row in range(30)) == 5


def test_a_byte_flipped_on_the_disk_is_found_before_the_shard_is_kept(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = genspot.data.packed.writer._verify

    def flip(file: Path, *arguments: Any) -> None:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        verify(file, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(genspot.data.packed.writer, "_verify", flip)
        assert "differs from the source" in refused(pack, plain, "gan", None)
    assert not (store_of(plain) / "0_real" / "00000.arrow").exists()
    pack(plain, "gan", None)
    assert stores_what_the_files_hold(plain)


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def garbage(content: bytes) -> bytes:
    return bytes(range(256)) * (len(content) // 256 + 1)


def of_another_kind(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"name": ["a"]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("damage", [torn, empty, garbage, of_another_kind])
def test_a_damaged_shard_is_packed_again(
    plain: Path, damage: Callable[[bytes], bytes], written: Written
) -> None:
    pack(plain, "gan", None)
    written.names.clear()
    shard = store_of(plain) / "0_real" / "00001.arrow"
    shard.write_bytes(damage(shard.read_bytes()))
    pack(plain, "gan", None)
    assert written.names == ["0_real/00001.arrow"]
    assert stores_what_the_files_hold(plain)


@pytest.mark.parametrize("half", ["0_real", "1_fake"])
def test_a_folder_that_changed_since_is_refused(plain: Path, half: str) -> None:
    pack(plain, "gan", None)
    (plain / half / "zebra.png").touch()
    message = refused(open_store, plain, "gan", None)
    assert "task=pack" in message and str(plain / half) in message


def test_where_there_is_no_store_the_line_says_how_to_make_one(plain: Path) -> None:
    for message in (
        refused(open_store, plain, "gan", None),
        refused(open_store, plain.with_name("nowhere"), "gan", None),
    ):
        assert "task=pack" in message


def test_a_class_that_was_not_packed_is_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        save_set(tmp_path / "set" / name, 2, 2)
    pack(tmp_path / "set", "gan", ["cat"])
    message = refused(open_store, tmp_path / "set", "gan", ["cat", "dog"])
    assert "dog" in message and "cat" not in message.split(";")[0]
    assert stores_what_the_files_hold(tmp_path / "set", ["cat"])


@pytest.mark.parametrize("classes", [None, "any", ["dog", "cat"]])
def test_a_store_needs_no_source(tmp_path: Path, classes: list[str] | str | None) -> None:
    root = tmp_path / "set"
    for parent in [root] if classes is None else [root / "dog", root / "cat"]:
        save_mixed(parent / "0_real", 1, seed=1)
        save_mixed(parent / "1_fake", 1, seed=2)
    pack(root, "gan", classes)
    expected = of_files(root, classes)
    samples = [expected[0, row] for row in range(len(expected))]
    root.rename(tmp_path / "away")
    found = of_store(root, classes)
    assert found.table.equals(expected.table)
    assert all(same(found[0, row], sample) for row, sample in enumerate(samples))


def test_a_store_that_was_copied_alone_names_its_new_place(plain: Path, tmp_path: Path) -> None:
    pack(plain, "gan", None)
    expected = of_files(plain)
    tails = [Path(path).relative_to(plain) for path in expected.table["path"].to_pylist()]
    copy = tmp_path / "another machine" / "train"
    shutil.copytree(store_of(plain), store_of(copy))
    found = of_store(copy)
    assert found.table["path"].to_pylist() == [str(copy / tail) for tail in tails]
    assert all(same(found[0, row], expected[0, row]) for row in range(len(tails)))


@pytest.mark.parametrize("wanted", [["dog"], ["dog", "bee"], ["cat", "bee", "dog"], "any"])
@pytest.mark.parametrize("source", [True, False])
def test_classes_of_a_larger_store_come_in_the_order_of_the_files(
    tmp_path: Path, wanted: list[str] | str, source: bool
) -> None:
    root = tmp_path / "set"
    for seed, name in enumerate(("cat", "dog", "bee")):
        save_set(root / name, 7, 2, seed)
    for packed in (["dog"], "any", ["bee"]):
        pack(root, "gan", packed)
    expected = of_files(root, wanted)
    samples = [expected[0, row] for row in range(len(expected))]
    if not source:
        root.rename(tmp_path / "away")
    found = of_store(root, wanted)
    assert found.table.equals(expected.table)
    assert all(same(found[0, row], sample) for row, sample in enumerate(samples))


@pytest.mark.parametrize("names", [("", "a", "z"), ("", "0", "1"), ("a", "a/-", "a/b")])
def test_a_store_of_nested_classes_keeps_the_order_without_its_source(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    root = tmp_path / "set"
    for seed, name in enumerate(names):
        save_set(root / name, 2, 1, seed)
    pack(root, "gan", "any")
    expected = scan(root, "gan", "any")
    root.rename(tmp_path / "away")
    found, _ = open_store(root, "gan", "any")
    assert found["path"].to_pylist() == expected["path"].to_pylist()


def test_a_pack_killed_after_a_removal_is_never_read_wrongly(
    plain: Path, tmp_path: Path, written: Written
) -> None:
    pack(plain, "gan", None)
    (plain / "0_real" / "000.png").unlink()
    written.limit[0] = len(written.names) + 1
    with pytest.raises(KeyboardInterrupt):
        pack(plain, "gan", None)
    refused(open_store, plain, "gan", None)
    away = plain.rename(tmp_path / "away")
    try:
        table, read = open_store(plain, "gan", None)
    except GenspotError:
        return
    for row, path in enumerate(table["path"].to_pylist()):
        source = away / Path(path).relative_to(plain)
        if source.exists():
            np.testing.assert_array_equal(read(row), images.pil_read(str(source)))


@pytest.mark.parametrize("free", [0, 1000])
def test_a_disk_too_full_is_one_line(
    plain: Path, monkeypatch: pytest.MonkeyPatch, written: Written, free: int
) -> None:
    usage = shutil.disk_usage(plain)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    message = refused(pack, plain, "gan", None)
    assert str(store_of(plain)) in message and "GB" in message
    assert not written.names


def test_the_size_that_is_told_is_that_of_the_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "set"
    sides = [(700, 900), (1100, 300), (512, 1000), (1, 1)]
    for number, size in enumerate(sides):
        half = root / list(LABELS)[number % 2]
        half.mkdir(parents=True, exist_ok=True)
        Image.new("L", size).save(half / f"{number}.png")
    (root / "0_real" / "broken.png").touch()
    caplog.set_level("INFO")
    pack(root, "gan", None)
    expected = sum(3 * width * height for width, height in sides) / 1e9
    assert f"5 of 5 images to pack, {expected:.3f} GB" in caplog.text
    assert "holds 5 images" in caplog.text
    caplog.clear()
    pack(root, "gan", None)
    assert "0 of 5 images to pack, 0.000 GB" in caplog.text


def test_halves_that_are_empty_or_all_broken_are_packed(tmp_path: Path) -> None:
    (tmp_path / "set" / "0_real").mkdir(parents=True)
    fakes = tmp_path / "set" / "1_fake"
    fakes.mkdir()
    for number in range(9):
        (fakes / f"{number}.png").touch()
    pack(tmp_path / "set", "gan", None)
    assert stores_what_the_files_hold(tmp_path / "set")


def test_a_reader_can_be_pickled_before_and_after_use(folder: Path) -> None:
    pack(folder, "gan", None)
    table, read = open_store(folder, "gan", None)
    [row, *_] = (n for n, path in enumerate(table["path"].to_pylist()) if "jpeg" in path)
    fresh: Packed = pickle.loads(pickle.dumps(read))
    expected = read(row)
    content = pickle.dumps(read)
    assert len(content) < 2000
    for copy in (fresh, pickle.loads(content), read):
        np.testing.assert_array_equal(copy(row), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_read_the_same(folder: Path, workers: int) -> None:
    pack(folder, "gan", None)
    settings: dict[str, Any] = {"augment": degrade(), "crop": 12, "train": True}
    files, store = of_files(folder, **settings), of_store(folder, **settings)
    store[0, 0]  # its shard is open when the workers begin
    draws = [(epoch, row) for epoch in (0, 1) for row in range(29, -1, -1)]
    loader = DataLoader(store, 4, sampler=draws, num_workers=workers, collate_fn=collate)
    expected = [collate([files[d] for d in draws[n : n + 4]]) for n in range(0, len(draws), 4)]
    for one, other in zip(loader, expected, strict=True):
        assert one["unreadable"] == other["unreadable"]
        for name in ("image", "label", "row", "padded"):
            assert one[name].equal(other[name])
