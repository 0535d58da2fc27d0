"""Folders of images become one sorted table, or one line that says what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from genspot.data.inputs import list_inputs
from genspot.data.label_folders import LABELS, OUTSIDE, OUTSIDE_FOLDER
from genspot.data.layout import SAMPLE_SCHEMA, SKIPPED_SCHEMA
from genspot.data.places import load_samples
from genspot.data.settings import Classes
from genspot.data.walk import DANGLING, LOOP, NOT_UTF8, PACKED_LIST
from helpers.errors import error_of
from helpers.image_bytes import encode
from helpers.label_folders import make_label_folders, touch


def rows(table: pa.Table, root: Path) -> list[tuple[str, str, int]]:
    return [
        (Path(row["path"]).relative_to(root).as_posix(), row["class"], row["label"])
        for row in table.to_pylist()
    ]


def test_load_samples_of_named_classes_sorts_them_and_takes_no_others(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "dog", tmp_path / "cat", tmp_path / "cow")
    table = load_samples(tmp_path, "gan", ["dog", "cat"]).table
    assert table.schema == SAMPLE_SCHEMA and set(table["generator"].to_pylist()) == {"gan"}
    assert rows(table, tmp_path) == [
        (f"{name}/{file}", name, label)
        for name in ("cat", "dog")
        for file, label in (("0_real/a.png", 0), ("0_real/b.png", 0), ("1_fake/a.png", 1))
    ]


def test_load_samples_of_any_class_finds_them_at_any_depth(tmp_path: Path) -> None:
    make_label_folders(tmp_path, tmp_path / "z", tmp_path / "deep/er/cat")
    make_label_folders(tmp_path / "copy.packed" / "store", tmp_path / "z.packed")
    touch(tmp_path / "copy.packed" / PACKED_LIST)
    (tmp_path / "empty").mkdir()
    found = rows(load_samples(tmp_path, "gan", "any").table, tmp_path)
    assert [name for _, name, _ in found] == [""] * 3 + ["deep/er/cat"] * 3 + ["z"] * 3 + [
        "z.packed"
    ] * 3
    assert found == sorted(found, key=lambda row: (row[1], row[2], row[0]))


def test_load_samples_takes_image_extensions_in_any_case_only(tmp_path: Path) -> None:
    make_label_folders(tmp_path)
    images = ["c.PNG", "d.Jpg", "e.JPEG", "f.webp", "g.BMP", "h.ppm", "i.tif", "j.TIFF"]
    others = ["notes.txt", "png", "k.png.bak", "Thumbs.db", ".hidden.png"]
    touch(*(tmp_path / "0_real" / name for name in [*images, *others]))
    table = load_samples(tmp_path, "gan", None).table
    found = [path for path, _, label in rows(table, tmp_path) if label == 0]
    assert found == [f"0_real/{name}" for name in ["a.png", "b.png", *images]]


@pytest.mark.parametrize("classes", [None, "any"])
def test_load_samples_without_any_image_raises_one_line(tmp_path: Path, classes: Classes) -> None:
    for name in LABELS:
        (tmp_path / name).mkdir()
    message = f"gan: no images below {tmp_path}"
    assert error_of(load_samples, tmp_path, "gan", classes) == message
    (tmp_path / "0_real" / "notes.txt").write_text("no image")
    assert "notes.txt (its content is no image" in error_of(load_samples, tmp_path, "gan", classes)


def test_load_samples_warns_of_label_folders_without_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_label_folders(tmp_path / "cat", tmp_path / "dog")
    for empty in ("cat/1_fake", "dog/1_fake"):
        (tmp_path / empty / "a.png").unlink()
    assert len(load_samples(tmp_path, "gan", "any").table) == 4
    expected = f"gan: there is no image in {tmp_path}/cat/1_fake and in 1 other folders"
    assert caplog.messages == [expected]


def make_links(folder: Path) -> None:
    """Make a set whose class "dog" is a link, with one loop and one dangling link."""
    make_label_folders(folder / "set" / "cat", folder / "store" / "dog")
    (folder / "set" / "dog").symlink_to("../store/dog")
    (folder / "set" / "gone").symlink_to("nowhere")
    (folder / "set" / "loop").symlink_to("../set")


@pytest.mark.parametrize("root", ["set", "link"])
def test_load_samples_of_any_class_follows_links(tmp_path: Path, root: str) -> None:
    make_links(tmp_path)
    (tmp_path / "link").symlink_to("set")
    listing = load_samples(tmp_path / root, "gan", "any")
    assert listing.table["class"].to_pylist() == ["cat"] * 3 + ["dog"] * 3
    names = [Path(path).relative_to(tmp_path / root) for path in listing.table["path"].to_pylist()]
    assert names[3:] == [
        Path("dog/0_real/a.png"),
        Path("dog/0_real/b.png"),
        Path("dog/1_fake/a.png"),
    ]
    assert listing.skipped.schema == SKIPPED_SCHEMA
    left_out = {row["path"]: row["reason"] for row in listing.skipped.to_pylist()}
    assert left_out == {f"{tmp_path}/{root}/gone": DANGLING, f"{tmp_path}/{root}/loop": LOOP}
    own = load_samples(tmp_path / "store", "gan", "any").file_ids
    assert listing.file_ids[3:].tolist() == own.tolist() and len(set(listing.file_ids)) == 6


def test_load_samples_of_one_class_linked_twice_counts_it_twice(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "set" / "cat")
    (tmp_path / "set" / "again").symlink_to("cat")
    for classes in ("any", ["again", "cat"]):
        table = load_samples(tmp_path / "set", "gan", classes).table
        assert table["class"].to_pylist() == ["again"] * 3 + ["cat"] * 3


def test_load_samples_takes_nested_images_and_lists_what_is_left_out(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "cat")
    touch(tmp_path / "cat/0_real/sub/n.png", tmp_path / "dog/lost.png", tmp_path / "dog/readme")
    (tmp_path / "cat/1_fake/sub").mkdir()
    (tmp_path / "cat/1_fake/sub/caption.txt").write_text("a dog")
    (tmp_path / "cat/1_fake/sub/up").symlink_to("../..")
    listing = load_samples(tmp_path, "gan", "any")
    names = ["0_real/a.png", "0_real/b.png", "0_real/sub/n.png", "1_fake/a.png"]
    assert [name for name, *_ in rows(listing.table, tmp_path)] == [
        f"cat/{name}" for name in names
    ]
    skipped = rows(listing.skipped, tmp_path)
    assert skipped == [
        ("cat/1_fake/sub/caption.txt", "cat", 1),
        ("cat/1_fake/sub/up", "cat", 1),
        ("dog/lost.png", "dog", -1),
    ]
    assert listing.skipped["reason"].to_pylist()[1:] == [LOOP, OUTSIDE]
    assert set(listing.skipped["generator"].to_pylist()) == {"gan"}


@pytest.mark.parametrize("classes", ["any", ["cat", "dog"]])
@pytest.mark.parametrize("secret", ["dog", "dog/0_real"])
def test_load_samples_leaves_out_a_folder_that_may_not_be_listed(
    classes: Classes, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_label_folders(tmp_path / "cat", tmp_path / "dog")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path == str(tmp_path / secret):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = load_samples(tmp_path, "gan", classes)
    assert len(listing.table) == {"dog": 3, "dog/0_real": 4}[secret]
    [row] = listing.skipped.to_pylist()
    assert row["path"] == str(tmp_path / secret) and "Permission denied" in row["reason"]


@pytest.mark.parametrize("classes", [None, ["cat"], "any"])
def test_missing_root_raises_one_line(tmp_path: Path, classes: Classes) -> None:
    message = error_of(load_samples, tmp_path / "nowhere", "gan", classes)
    assert str(tmp_path / "nowhere") in message and "gan" in message


def test_missing_classes_are_all_named(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "cat")
    message = error_of(load_samples, tmp_path, "gan", ["cat", "dog", "cow"])
    assert str(tmp_path) in message and "dog, cow" in message


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("classes", [["cat", "dog"], "any"])
def test_missing_label_folder_of_one_class_is_named(
    tmp_path: Path, name: str, classes: Classes
) -> None:
    make_label_folders(tmp_path / "cat", tmp_path / "dog")
    (tmp_path / "cat" / name).rename(tmp_path / "elsewhere")
    message = error_of(load_samples, tmp_path, "gan", classes)
    assert f"{tmp_path / 'cat'} has no folder {name}" in message


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("classes", [["cat"], "any", None])
def test_load_samples_of_one_label_alone_takes_it(
    tmp_path: Path, name: str, classes: Classes
) -> None:
    make_label_folders(tmp_path / "cat")
    (tmp_path / "cat" / name).rename(tmp_path / "elsewhere")
    root = tmp_path if classes else tmp_path / "cat"
    table = load_samples(root, "gan", classes).table
    assert set(table["label"].to_pylist()) == {1 - LABELS[name]}


def test_list_inputs_finds_all_images_below_a_folder_and_lists_other_files(
    tmp_path: Path,
) -> None:
    touch(*(tmp_path / name for name in ("z.png", "b/y.PNG", "a/x.jpg", "a/raw", ".h/h.png")))
    (tmp_path / "a/notes.txt").write_text("no image")
    (tmp_path / "loop").symlink_to(".")
    listing = list_inputs(tmp_path)
    found = rows(listing.table, tmp_path)
    assert found == [("z.png", "", -1), ("a/x.jpg", "", -1), ("b/y.PNG", "", -1)]
    assert listing.table.schema == SAMPLE_SCHEMA and listing.skipped.schema == SKIPPED_SCHEMA
    assert rows(listing.skipped, tmp_path) == [
        ("a/notes.txt", "", -1),
        ("a/raw", "", -1),
        ("loop", "", -1),
    ]


def test_list_inputs_without_images_raises_one_line(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    for inputs in (tmp_path, tmp_path / "nowhere"):
        assert str(inputs) in error_of(list_inputs, inputs)


def touch_bytes(folder: Path, *names: bytes) -> list[Path]:
    """Create files, some of whose names are not UTF-8."""
    paths = [Path(os.fsdecode(os.fsencode(folder) + b"/" + name)) for name in names]
    touch(*paths)
    return paths


def test_file_names_that_are_not_utf8_are_left_out(tmp_path: Path) -> None:
    names = (b"caf\xe9.png", b"caf\xe8.png", "café.png".encode(), rb"caf\xe9.png")
    photo, *_ = touch_bytes(tmp_path, *names)
    listing = list_inputs(tmp_path)
    found = [Path(path).name for path in listing.table["path"].to_pylist()]
    assert found == [r"caf\xe9.png", "café.png"]
    assert [name for name, *_ in rows(listing.skipped, tmp_path)] == [
        r"caf\xe8.png",
        r"caf\xe9.png",
    ]
    message = error_of(list_inputs, photo)
    assert message == rf"inputs={tmp_path}/caf\xe9.png: {NOT_UTF8}"


@pytest.mark.parametrize("classes", ["any", None])
def test_folder_names_that_are_not_utf8_are_left_out(tmp_path: Path, classes: Classes) -> None:
    real, _ = touch_bytes(
        tmp_path / "set", *(b"caf\xe9/%b/a.png" % name.encode() for name in LABELS)
    )
    if classes is None:
        assert NOT_UTF8 in error_of(load_samples, real.parents[1], "gan", None)
        return
    make_label_folders(tmp_path / "set" / "cat")
    listing = load_samples(tmp_path / "set", "gan", classes)
    assert listing.table["class"].to_pylist() == ["cat"] * 3
    assert rows(listing.skipped, tmp_path) == [(r"set/caf\xe9", "", -1)]
    assert NOT_UTF8 in error_of(list_inputs, real.parent)


@pytest.mark.parametrize("classes", ["any", None, ["cat"], ["cat", "cat/dog"]])
def test_load_samples_lists_images_outside_of_label_folders_once(
    tmp_path: Path, classes: Classes
) -> None:
    cat = tmp_path / "set" / "cat"
    make_label_folders(cat, cat / "dog", tmp_path / "set" / "bee")
    touch(cat / "lost.png", cat / "dog" / "deep" / "lost.png", cat / "readme.txt")
    (cat / "dog" / "sample").write_bytes(encode(Image.new("RGB", (8, 8)), "PNG"))
    root = tmp_path / "set" if classes else cat
    listing = load_samples(root, "gan", classes)
    left_out = {row["path"]: row["reason"] for row in listing.skipped.to_pylist()}
    names = ("lost.png", "dog/deep/lost.png", "dog/sample")
    expected = {f"{cat}/{name}": OUTSIDE for name in names}
    if classes in (None, ["cat"]):
        expected |= {f"{cat}/dog/{name}": OUTSIDE_FOLDER for name in LABELS}
    assert left_out == expected and len(listing.skipped) == len(expected)
    assert len(listing.table) == 3 * (3 if classes == "any" else len(classes or ["cat"]))
