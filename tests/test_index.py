"""The index lists what a folder holds, and asks the folder again only where it changed."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

import genspot.data.index
from conftest import save_image, save_set
from genspot.data.layout import EXTENSIONS, LABELS, SCHEMA
from genspot.data.index import INDEX, Index, Section, open_index, places, read_index, scan, write_index

Classes = list[str] | str | None
UNKNOWN = (None, None, None)


def age(folder: Path, hours: int = 1) -> None:
    """As if nothing below `folder` had changed for hours."""
    then = folder.stat().st_mtime_ns - hours * 3_600_000_000_000
    for here, _, _ in os.walk(folder):
        os.utime(here, ns=(then, then))


def walked(folder: Path) -> list[tuple[Any, ...]]:
    """What an index should hold, from a plain walk and PIL."""
    rows = []
    for here, _, names in os.walk(folder):
        half = os.path.basename(here)
        if half not in LABELS:
            continue
        group = os.path.relpath(os.path.dirname(here), folder)
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                with Image.open(os.path.join(here, name)) as image:
                    facts = (*image.size, image.format)
                rows.append((group, half, name, os.path.join(here, name), *facts))
    return [
        (path, "" if group == "." else group, LABELS[half], *facts)
        for group, half, _, path, *facts in sorted(rows)
    ]


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """Without the generator's name."""
    names = ("path", "class", "label", "width", "height", "format")
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def holds(folder: Path, classes: Classes = None) -> bool:
    return rows(open_index(folder, "gan", classes).table) == walked(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One class, which nobody touched for an hour."""
    folder = save_set(tmp_path / "set", 4, 3)
    save_image(folder / "0_real" / "wide.jpg", 1, fake=False, size=(20, 31))
    age(folder)
    return folder


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Three classes, likewise."""
    for name in ("cat", "cow", "dog"):
        save_set(tmp_path / "set" / name, 2, 1)
    age(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The halves that are listed from now on."""
    seen: list[str] = []
    images_in = genspot.data.index.images_in

    def spy(folder: str) -> list[str]:
        seen.append(folder)
        return images_in(folder)

    monkeypatch.setattr(genspot.data.index, "images_in", spy)
    return seen


@pytest.fixture
def nothing_listed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Called: a folder that is listed from then on is an error."""

    def refuse(folder: str) -> list[str]:
        raise AssertionError(f"listed {folder}")

    return lambda: monkeypatch.setattr(genspot.data.index, "images_in", refuse)


def test_an_index_equals_a_walk(folder: Path) -> None:
    (folder / "0_real" / "notes.txt").touch()
    (folder / "0_real" / ".hidden.png").touch()
    for name, kind in (
        ("a.BMP", "BMP"),
        ("b.webp", "WEBP"),
        ("c.png", "JPEG"),
        ("é ü.png", "PNG"),
    ):
        Image.new("L", (5, 9)).save(folder / "1_fake" / name, format=kind)
    index = open_index(folder, "gan", None)
    assert index.table.schema.equals(INDEX) and rows(index.table) == walked(folder)
    assert [section.rows for section in index.sections] == [5, 7]
    assert set(index.table["generator"].to_pylist()) == {"gan"}


def test_an_index_of_any_class_equals_a_walk(classes: Path) -> None:
    save_set(classes / "deep" / "er", 1, 2)
    assert holds(classes, "any")


@pytest.mark.parametrize("wanted", ["any", ["cow", "cat", "dog"]])
def test_the_second_opening_lists_nothing(
    classes: Path, wanted: Classes, nothing_listed: Callable[[], None]
) -> None:
    first = open_index(classes, "gan", wanted)
    nothing_listed()
    second = open_index(str(classes) + "/", "gan", wanted)
    assert second.table.equals(first.table) and second.sections == first.sections
    assert rows(second.table) == walked(classes)


def test_a_folder_that_just_changed_is_listed_again(folder: Path, listed: list[str]) -> None:
    soon = time.time() + 60
    os.utime(folder / "1_fake", (soon, soon))
    for _ in range(2):
        assert holds(folder)
    real, fake = str(folder / "0_real"), str(folder / "1_fake")
    assert listed == [real, fake, fake]


def add(half: Path) -> None:
    save_image(half / "zebra.png", 9, fake=False, size=(7, 8))


def remove(half: Path) -> None:
    (half / "000.png").unlink()


def rename(half: Path) -> None:
    (half / "000.png").rename(half / "other.png")


@pytest.mark.parametrize("change", [add, remove, rename])
@pytest.mark.parametrize("half", ["0_real", "1_fake"])
def test_only_the_half_that_changed_is_listed_again(
    classes: Path, half: str, change: Callable[[Path], None], listed: list[str]
) -> None:
    assert holds(classes, "any")
    listed.clear()
    change(classes / "cow" / half)
    assert holds(classes, "any")
    assert listed == [str(classes / "cow" / half)]


def test_of_any_class_a_new_one_is_found_and_a_gone_one_left_out(
    classes: Path, listed: list[str]
) -> None:
    assert holds(classes, "any")
    listed.clear()
    save_set(classes / "bee", 2, 2)
    age(classes / "bee")
    assert holds(classes, "any")
    assert listed == [str(classes / "bee" / half) for half in LABELS]
    shutil.rmtree(classes / "dog")
    assert holds(classes, "any")
    assert len(listed) == 2
    (classes / "cat" / "0_real" / "000.png").unlink()
    assert holds(classes, "any")
    kept = read_index(places(str(classes))[0], str(classes))
    assert sorted(rows(kept.table)) == sorted(walked(classes))


def test_subsets_of_the_classes_share_one_index(
    classes: Path, tmp_path: Path, listed: list[str]
) -> None:
    everything = walked(classes)
    for wanted in (["cat"], ["dog", "cow"], ["cow", "cat", "dog"], "any"):
        names = sorted({row[1] for row in everything} if wanted == "any" else wanted)
        expected = [row for name in names for row in everything if row[1] == name]
        assert rows(open_index(classes, "gan", wanted).table) == expected
    assert len(listed) == len(set(listed)) == 6
    assert list(tmp_path.glob("*.arrow")) == [places(str(classes))[0]]


@pytest.mark.parametrize("name", ["x", "a longer name, ünd \U0001f600"])
def test_a_moved_set_keeps_its_index_and_gets_its_new_paths(
    tmp_path: Path, name: str, nothing_listed: Callable[[], None]
) -> None:
    folder = save_set(tmp_path / "disk ö" / "set", 2, 3)
    age(folder)
    assert holds(folder)
    moved = folder.parent.rename(tmp_path / name) / "set"
    nothing_listed()
    assert holds(moved)
    assert not folder.parent.exists()


def test_a_set_put_in_the_place_of_another_is_listed(tmp_path: Path) -> None:
    for name, reals in (("one", 2), ("two", 3)):
        save_set(tmp_path / name, reals, 1, seed=reals)
        age(tmp_path / name, hours=reals)
        assert holds(tmp_path / name)
    (tmp_path / "one").rename(tmp_path / "gone")
    (tmp_path / "two").rename(tmp_path / "one")
    assert holds(tmp_path / "one")


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_end(content: bytes) -> bytes:
    return content[:-1]


def empty(content: bytes) -> bytes:
    return b""


def garbage(content: bytes) -> bytes:
    return bytes(range(256)) * 8


def between_marks(content: bytes) -> bytes:
    return b"ARROW1\0\0" + garbage(content) + b"\xff\0\0\0ARROW1"


def of_another_kind(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"path": ["a"]})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def of_other_types(content: bytes) -> bytes:
    table = pa.ipc.open_file(content).read_all()
    table = table.set_column(4, "width", table["width"].cast(pa.float64()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def of_no_root(content: bytes) -> bytes:
    return content.replace(b'"root"', b'"rood"')


@pytest.mark.parametrize(
    "damage",
    [
        torn,
        without_end,
        empty,
        garbage,
        between_marks,
        of_another_kind,
        of_other_types,
        of_no_root,
    ],
)
def test_a_damaged_index_is_made_anew(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    place = places(str(folder))[0]
    assert holds(folder)
    whole = place.read_bytes()
    place.write_bytes(damage(whole))
    assert holds(folder)
    assert rows(read_index(place, str(folder)).table) == walked(folder)


def test_half_an_index_left_by_a_killed_run_is_no_hindrance(folder: Path) -> None:
    place = places(str(folder))[0]
    place.with_name(f"{place.name}.partial").write_bytes(b"half")
    assert holds(folder)
    assert not place.with_name(f"{place.name}.partial").exists()


def test_where_nothing_can_be_written_beside_the_index_lies_elsewhere(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nothing_listed: Callable[[], None],
) -> None:
    (tmp_path / "file").touch()
    candidates = [tmp_path / "file" / "index.arrow", tmp_path / "elsewhere" / "index.arrow"]
    monkeypatch.setattr(genspot.data.index, "places", lambda root: candidates)
    assert holds(folder)
    assert candidates[1].is_file()
    nothing_listed()
    assert holds(folder)


def test_where_nothing_can_be_written_at_all_the_table_is_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(place: Path, index: Index) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(genspot.data.index, "write_index", refuse)
    for _ in range(2):
        assert holds(folder)
    assert not places(str(folder))[0].exists()


def test_an_old_index_that_cannot_be_replaced_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holds(folder)
    add(folder / "0_real")
    write = genspot.data.index.write_index
    beside = places(str(folder))[0]

    def refuse(place: Path, index: Index) -> None:
        if place == beside:
            raise OSError(30, "Read-only file system", str(place))
        write(place, index)

    monkeypatch.setattr(genspot.data.index, "write_index", refuse)
    monkeypatch.setattr(
        genspot.data.index, "places", lambda root: [beside, folder.with_name("other.arrow")]
    )
    for _ in range(2):
        assert holds(folder)


def test_files_that_are_no_images_have_no_size(folder: Path) -> None:
    real = folder / "0_real"
    (real / "broken.png").write_bytes(b"no image")
    (real / "empty.jpg").touch()
    (real / "folder.png").mkdir()
    os.mkfifo(real / "pipe.png")
    (real / "dangling.png").symlink_to("nowhere")
    table = open_index(folder, "gan", None).table
    sizes = {row[0]: row[3:] for row in rows(table)}
    for name in ("broken.png", "empty.jpg", "folder.png", "pipe.png", "dangling.png"):
        assert sizes.pop(str(real / name)) == UNKNOWN
    assert len(sizes) == 8 and UNKNOWN not in sizes.values()


def test_a_set_of_broken_files_alone(tmp_path: Path) -> None:
    for half in LABELS:
        (tmp_path / "set" / half).mkdir(parents=True)
        (tmp_path / "set" / half / "a.png").touch()
    age(tmp_path / "set")
    for _ in range(2):
        table = open_index(tmp_path / "set", "gan", None).table
        assert [row[3:] for row in rows(table)] == [UNKNOWN] * 2


def test_processes_that_index_at_once_all_get_the_table(classes: Path) -> None:
    expected = [row[:3] for row in walked(classes)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        tables = pool.starmap(scan, [(str(classes), "gan", "any")] * 4, chunksize=1)
    for table in tables:
        assert [(row["path"], row["class"], row["label"]) for row in table.to_pylist()] == expected


def test_the_generator_has_the_callers_name(folder: Path) -> None:
    for name in ("one", "two"):
        samples = scan(folder, name, None)
        assert samples.schema.equals(SCHEMA)
        assert samples["generator"].to_pylist() == [name] * 8
    assert [row["path"] for row in samples.to_pylist()] == [row[0] for row in walked(folder)]


def test_a_large_index_is_mapped_not_read(
    folder: Path, nothing_listed: Callable[[], None]
) -> None:
    count, root = 200_000, str(folder)
    then = 1_000_000_000_000_000_000
    sections = []
    for half in LABELS:
        os.utime(folder / half, ns=(then, then))
        sections.append(Section(half, then, 2 * then, count // 2))
    columns: dict[str, Any] = {
        "path": [f"{root}/{half}/{n:08d}.png" for half in LABELS for n in range(count // 2)],
        "generator": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), ["gan"]),
        "class": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [""]),
        "label": list(itertools.chain(*([label] * (count // 2) for label in LABELS.values()))),
        "width": [256] * count,
        "height": [256] * count,
        "format": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), ["PNG"]),
    }
    write_index(places(root)[0], Index(root, sections, pa.table(columns, schema=INDEX)))
    size = places(root)[0].stat().st_size
    del columns
    nothing_listed()
    before = pa.total_allocated_bytes()
    index = open_index(folder, "gan", None)
    grown = pa.total_allocated_bytes() - before
    assert index.table.num_rows == count and size > 10e6
    assert index.table["path"][count - 1].as_py() == f"{root}/1_fake/{count // 2 - 1:08d}.png"
    assert grown < size / 100
