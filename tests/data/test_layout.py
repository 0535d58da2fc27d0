"""Folders of images become one sorted table, or one line that says what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.data.layout import LABELS, SAMPLE_SCHEMA, list_inputs, load_samples, sample_table
from genspot.data.settings import Classes
from helpers.errors import error_of


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def make_label_folders(*parents: Path) -> None:
    for parent in parents:
        touch(parent / "0_real" / "b.png", parent / "0_real" / "a.png", parent / "1_fake/a.png")


def rows(table: pa.Table, root: Path) -> list[tuple[str, str, int]]:
    return [
        (Path(row["path"]).relative_to(root).as_posix(), row["class"], row["label"])
        for row in table.to_pylist()
    ]


def test_load_samples_of_named_classes_sorts_them_and_takes_no_others(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "dog", tmp_path / "cat", tmp_path / "cow")
    table = load_samples(tmp_path, "gan", ["dog", "cat"])
    assert table.schema == SAMPLE_SCHEMA and set(table["generator"].to_pylist()) == {"gan"}
    assert rows(table, tmp_path) == [
        (f"{name}/{file}", name, label)
        for name in ("cat", "dog")
        for file, label in (("0_real/a.png", 0), ("0_real/b.png", 0), ("1_fake/a.png", 1))
    ]


def test_load_samples_of_any_class_finds_them_at_any_depth(tmp_path: Path) -> None:
    make_label_folders(tmp_path, tmp_path / "z", tmp_path / "deep/er/cat")
    make_label_folders(tmp_path / "z.packed" / "store")
    (tmp_path / "empty").mkdir()
    found = rows(load_samples(tmp_path, "gan", "any"), tmp_path)
    assert [name for _, name, _ in found] == [""] * 3 + ["deep/er/cat"] * 3 + ["z"] * 3
    assert found == sorted(found, key=lambda row: (row[1], row[2], row[0]))


def test_load_samples_takes_image_extensions_in_any_case_only(tmp_path: Path) -> None:
    make_label_folders(tmp_path)
    images = ["c.PNG", "d.Jpg", "e.JPEG", "f.webp", "g.BMP", "h.ppm", "i.tif", "j.TIFF"]
    others = ["notes.txt", "png", "k.png.bak", "Thumbs.db", ".hidden.png"]
    touch(*(tmp_path / "0_real" / name for name in [*images, *others]))
    table = load_samples(tmp_path, "gan", None)
    found = [path for path, _, label in rows(table, tmp_path) if label == 0]
    assert found == [f"0_real/{name}" for name in ["a.png", "b.png", *images]]


@pytest.mark.parametrize("classes", [None, "any"])
def test_load_samples_of_empty_folders_is_an_empty_table(tmp_path: Path, classes: Classes) -> None:
    for name in LABELS:
        (tmp_path / name).mkdir()
    for table in (load_samples(tmp_path, "gan", classes), sample_table([])):
        assert table.num_rows == 0 and table.schema == SAMPLE_SCHEMA


@pytest.mark.parametrize("classes", [None, ["cat"], "any"])
def test_missing_root_raises_one_line(tmp_path: Path, classes: Classes) -> None:
    message = error_of(load_samples, tmp_path / "nowhere", "gan", classes)
    assert str(tmp_path / "nowhere") in message and "gan" in message


def test_missing_classes_are_all_named(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "cat")
    message = error_of(load_samples, tmp_path, "gan", ["cat", "dog", "cow"])
    assert str(tmp_path) in message and "dog, cow" in message


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("classes", [["cat"], "any"])
def test_missing_label_folder_is_named(tmp_path: Path, name: str, classes: Classes) -> None:
    make_label_folders(tmp_path / "cat", tmp_path / "dog")
    (tmp_path / "cat" / name).rename(tmp_path / "elsewhere")
    assert f"{tmp_path / 'cat'} has no folder {name}" in error_of(
        load_samples, tmp_path, "gan", classes
    )
    assert f"{tmp_path / 'cat'} has no folder {name}" in error_of(
        load_samples, tmp_path / "cat", "gan", None
    )


def test_list_inputs_finds_all_images_below_a_folder_and_warns_of_other_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(*(tmp_path / name for name in ("z.png", "b/y.PNG", "a/x.jpg", "a/notes.txt", "a/raw")))
    table = list_inputs(tmp_path)
    assert rows(table, tmp_path) == [("z.png", "", -1), ("a/x.jpg", "", -1), ("b/y.PNG", "", -1)]
    assert table.schema == SAMPLE_SCHEMA
    assert "1 .txt, 1 without extension" in caplog.text


def test_list_inputs_without_images_raises_one_line(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    for inputs in (tmp_path, tmp_path / "nowhere"):
        assert str(inputs) in error_of(list_inputs, inputs)


def touch_bytes(folder: Path, *names: bytes) -> list[Path]:
    """Create files, some of whose names are not UTF-8."""
    paths = [Path(os.fsdecode(os.fsencode(folder) + b"/" + name)) for name in names]
    touch(*paths)
    return paths


def test_file_names_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    names = (b"caf\xe9.png", b"caf\xe8.png", "café.png".encode(), b"n.\xe9")
    photo, *_ = touch_bytes(tmp_path, *names)
    found = [Path(path).name for path in list_inputs(tmp_path)["path"].to_pylist()]
    assert sorted(found) == [r"caf\xe8.png", r"caf\xe9.png", "café.png"]
    assert list_inputs(photo)["path"].to_pylist() == [rf"{tmp_path}/caf\xe9.png"]


@pytest.mark.parametrize("classes", ["any", None])
def test_folder_names_that_are_not_utf8_are_escaped(
    tmp_path: Path, classes: Classes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    real, _ = touch_bytes(
        tmp_path / "set", *(b"caf\xe9/%b/a.png" % name.encode() for name in LABELS)
    )
    root = tmp_path / "set" if classes else real.parents[1]
    for _ in range(2):
        table = load_samples(root, "gan", classes)
        expected = [rf"{tmp_path}/set/caf\xe9/{name}/a.png" for name in LABELS]
        assert table["path"].to_pylist() == expected
        assert set(table["class"].to_pylist()) == {r"caf\xe9" if classes else ""}
