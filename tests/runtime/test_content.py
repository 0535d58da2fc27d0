"""The same images are known again at another place, and others are not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.runtime.content import describe_file, describe_images, difference

NAMES = ["0_real/ü.png", "0_real/b.png", "1_fake/it's.png"]


def describe(folder: Path, names: list[str] = NAMES, labels: tuple[int, ...] = (0, 0, 1)) -> dict:
    paths = [f"{folder}/{name}" for name in names]
    return describe_images(pa.table({"path": paths, "label": list(labels)}), [str(folder)])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        file = tmp_path / "set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(number + 1))
    return tmp_path / "set"


def test_moved_folder_is_the_same(images: Path, tmp_path: Path) -> None:
    before = describe(images)
    shutil.move(images, tmp_path / "longer name")
    assert difference(before, describe(tmp_path / "longer name")) == ""


@pytest.mark.parametrize(
    ("describe_other", "expected"),
    [
        (lambda folder: describe(folder, NAMES[:2], (0, 1)), "3 images, now 2"),
        (lambda folder: describe(folder, labels=(0, 1, 1)), "images with other names or labels"),
        (lambda folder: describe(folder, NAMES[::-1]), "images with other names or labels"),
    ],
)
def test_other_images_differ(
    describe_other: Callable[[Path], dict], expected: str, images: Path
) -> None:
    assert difference(describe(images), describe_other(images)) == expected


def test_files_of_other_sizes_differ_unless_only_packed(images: Path) -> None:
    before = describe(images)
    (images / NAMES[2]).write_bytes(bytes(99))
    assert difference(before, describe(images)) == "files of other sizes"
    shutil.rmtree(images)
    assert difference(before, describe(images)) == ""


def test_file_whose_name_the_locale_lacks_has_no_size(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat
    monkeypatch.setattr("os.stat", lambda path: path.encode("ascii") and stat(path))
    sizes = describe(images)["sizes"]
    assert None in sizes and set(sizes) > {2, 3}


def test_moved_folders_and_containers_are_the_same_below_each_of_several_roots(
    tmp_path: Path,
) -> None:
    """Of two roots the longer one counts; an image elsewhere keeps its whole path."""
    (tmp_path / "new").mkdir()
    (tmp_path / "set.zip").write_bytes(b"12345")
    (tmp_path / "new" / "set.zip").write_bytes(b"12345")

    def describe_at(root: Path, outside: str) -> dict:
        paths = [f"{root}/set.zip/a.png", f"{root}/real/b.png", f"{outside}/c.png"]
        table = pa.table({"path": paths, "label": [0, 0, 1]})
        return describe_images(table, [str(root), f"{root}/set.zip", f"{root}/real"])

    before = describe_at(tmp_path, "/elsewhere")
    assert before["sizes"] == [5, None, None]
    assert difference(before, describe_at(tmp_path / "new", "/elsewhere")) == ""
    assert (
        difference(before, describe_at(tmp_path, "/other")) == "images with other names or labels"
    )
    (tmp_path / "set.zip").write_bytes(b"123456")
    assert difference(before, describe_at(tmp_path, "/elsewhere")) == "files of other sizes"


def test_description_of_an_empty_set() -> None:
    assert describe(Path("nowhere"), [], ())["images"] == 0


def test_file_is_known_by_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"x"), ("b", b"x"), ("c", b"y")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (describe_file(tmp_path / name) for name in "abc")
    assert difference(a, b) == ""
    assert difference(a, c) == "another content"
