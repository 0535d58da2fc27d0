"""Folders of images become one sorted table, or one line that says what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.data.layout import SCHEMA, find, images_in, table
from genspot.data.index import scan


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def halves(*parents: Path) -> None:
    for parent in parents:
        touch(parent / "0_real" / "b.png", parent / "0_real" / "a.png", parent / "1_fake/a.png")


def rows(found: pa.Table, root: Path) -> list[tuple[str, str, int]]:
    return [
        (Path(row["path"]).relative_to(root).as_posix(), row["class"], row["label"])
        for row in found.to_pylist()
    ]


def refused(folder: Path, classes: list[str] | str | None) -> str:
    with pytest.raises(GenspotError) as error:
        scan(folder, "gan", classes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_scan_without_classes(tmp_path: Path) -> None:
    halves(tmp_path)
    found = scan(str(tmp_path), "gan", None)
    assert found.schema == SCHEMA
    assert set(found["generator"].to_pylist()) == {"gan"}
    assert rows(found, tmp_path) == [
        ("0_real/a.png", "", 0),
        ("0_real/b.png", "", 0),
        ("1_fake/a.png", "", 1),
    ]


def test_scan_of_listed_classes_is_sorted_and_takes_no_others(tmp_path: Path) -> None:
    halves(tmp_path / "dog", tmp_path / "cat", tmp_path / "cow")
    found = rows(scan(tmp_path, "gan", ["dog", "cat"]), tmp_path)
    assert found == [
        (f"{name}/{file}", name, label)
        for name in ("cat", "dog")
        for file, label in (("0_real/a.png", 0), ("0_real/b.png", 0), ("1_fake/a.png", 1))
    ]


def test_scan_of_any_class_however_deep(tmp_path: Path) -> None:
    halves(tmp_path, tmp_path / "z", tmp_path / "deep/er/cat")
    (tmp_path / "empty").mkdir()
    found = rows(scan(tmp_path, "gan", "any"), tmp_path)
    assert [name for _, name, _ in found] == [""] * 3 + ["deep/er/cat"] * 3 + ["z"] * 3
    assert found == sorted(found, key=lambda row: (row[1], row[2], row[0]))


def test_extensions_in_any_case_and_nothing_else(tmp_path: Path) -> None:
    halves(tmp_path)
    real = tmp_path / "0_real"
    wanted = ["c.PNG", "d.Jpg", "e.JPEG", "f.webp", "g.BMP", "h.ppm", "i.tif", "j.TIFF"]
    touch(*(real / name for name in [*wanted, "notes.txt", "png", "k.png.bak", "Thumbs.db"]))
    found = [path for path, _, label in rows(scan(tmp_path, "gan", None), tmp_path) if not label]
    assert found == [f"0_real/{name}" for name in ["a.png", "b.png", *wanted]]


@pytest.mark.parametrize("classes", [None, ["cat"], "any"])
def test_missing_root_is_one_line(tmp_path: Path, classes: list[str] | str | None) -> None:
    missing = tmp_path / "nowhere"
    message = refused(missing, classes)
    assert str(missing) in message and "gan" in message


def test_missing_classes_are_all_named(tmp_path: Path) -> None:
    halves(tmp_path / "cat")
    message = refused(tmp_path, ["cat", "dog", "cow"])
    assert str(tmp_path) in message and "dog, cow" in message


@pytest.mark.parametrize("half", ["0_real", "1_fake"])
@pytest.mark.parametrize("classes", [["cat"], "any"])
def test_missing_half_of_a_class(tmp_path: Path, half: str, classes: list[str] | str) -> None:
    halves(tmp_path / "cat", tmp_path / "dog")
    (tmp_path / "cat" / half).rename(tmp_path / "elsewhere")
    message = refused(tmp_path, classes)
    assert f"{tmp_path / 'cat'} has no folder {half}" in message


@pytest.mark.parametrize("half", ["0_real", "1_fake"])
def test_missing_half_without_classes(tmp_path: Path, half: str) -> None:
    halves(tmp_path)
    (tmp_path / half).rename(tmp_path / "elsewhere")
    assert f"{tmp_path} has no folder {half}" in refused(tmp_path, None)


def test_any_without_a_single_half(tmp_path: Path) -> None:
    touch(tmp_path / "cat" / "a.png")
    assert str(tmp_path) in refused(tmp_path, "any")


@pytest.mark.parametrize("classes", [None, "any"])
def test_empty_halves_give_no_rows(tmp_path: Path, classes: str | None) -> None:
    for half in ("0_real", "1_fake"):
        (tmp_path / half).mkdir()
    found = scan(tmp_path, "gan", classes)
    assert found.num_rows == 0 and found.schema == SCHEMA


def test_table_of_nothing_has_the_schema() -> None:
    assert table([]).schema == SCHEMA and table([]).num_rows == 0


def test_find_one_photo(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    touch(photo)
    assert find(str(photo)).to_pylist() == [
        {"path": str(photo), "generator": "", "class": "", "label": -1}
    ]


def test_find_every_image_below_a_folder(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("z.png", "b/y.PNG", "a/x.jpg", "a/notes.txt")))
    found = find(tmp_path)
    assert rows(found, tmp_path) == [("z.png", "", -1), ("a/x.jpg", "", -1), ("b/y.PNG", "", -1)]
    assert found.schema == SCHEMA


def test_find_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    for inputs in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(GenspotError) as error:
            find(inputs)
        assert str(inputs) in str(error.value) and "\n" not in str(error.value)


def bytes_below(folder: Path, *names: bytes) -> list[Path]:
    """Files of these names, of which some are not UTF-8."""
    paths = [Path(os.fsdecode(os.fsencode(folder) + b"/" + name)) for name in names]
    touch(*paths)
    return paths


def test_names_that_are_not_utf8_are_told_apart(tmp_path: Path) -> None:
    bytes_below(tmp_path, b"caf\xe9.png", b"caf\xe8.png", "café.png".encode(), b"n.\xe9")
    names = [Path(path).name for path in find(tmp_path)["path"].to_pylist()]
    assert sorted(names) == [r"caf\xe8.png", r"caf\xe9.png", "café.png"]


def test_one_photo_whose_name_is_not_utf8(tmp_path: Path) -> None:
    [photo] = bytes_below(tmp_path, b"caf\xe9.png")
    assert find(photo)["path"].to_pylist() == [rf"{tmp_path}/caf\xe9.png"]


def test_a_class_whose_name_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (b"caf\xe9/%b/a.png" % half for half in (b"0_real", b"1_fake"))
    for file in bytes_below(tmp_path / "set", *names):
        os.utime(file.parent, ns=(1, 1))
    for name in ("set", "moved"):  # its index moves with it
        if name == "moved":
            for file in (tmp_path / ".set.index.arrow", tmp_path / "set"):
                file.rename(file.with_name(file.name.replace("set", name)))
            monkeypatch.setattr("genspot.data.index.images_in", None)
        found = rows(scan(tmp_path / name, "gan", "any"), tmp_path / name)
        kind = r"caf\xe9"
        assert found == [
            (f"{kind}/0_real/a.png", kind, 0),
            (f"{kind}/1_fake/a.png", kind, 1),
        ]


def test_a_set_whose_name_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))  # for the index
    real, _ = bytes_below(tmp_path, b"caf\xe9/0_real/a.png", b"caf\xe9/1_fake/a.png")
    for _ in range(2):
        found = scan(real.parents[1], "gan", None)
        assert found["path"].to_pylist() == [
            rf"{tmp_path}/caf\xe9/{half}/a.png" for half in ("0_real", "1_fake")
        ]
    assert len(list((tmp_path / "elsewhere").rglob("*.arrow"))) == 1


def test_a_folder_that_cannot_be_listed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.listdir", refuse)
    with pytest.raises(GenspotError, match=r"cannot be listed: Permission denied$") as error:
        images_in(tmp_path)
    assert str(tmp_path) in str(error.value)
