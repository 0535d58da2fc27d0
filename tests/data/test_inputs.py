"""The images of a prediction, wherever they lie."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from genspot.data.inputs import list_inputs
from genspot.data.layout import Listing
from genspot.data.walk import CONTAINER
from helpers.errors import error_of
from helpers.image_bytes import encode

NO_IMAGE = "its content is no image of a known format (PNG, JPEG, BMP, GIF, PPM, TIFF, WEBP, AVIF)"
PNG = encode(Image.new("RGB", (8, 8)), "PNG")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with images in files, a ZIP file, a Parquet file, and lists."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "sub/c.png", "sub/deep/d.png", "sub/raw"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    (tmp_path / "sub" / "notes.txt").write_text("no image\n")
    with zipfile.ZipFile("e.zip", "w") as archive:
        archive.writestr("x/e.png", PNG)
    pq.write_table(pa.table({"image": [PNG, PNG]}), "f.parquet")
    Path("list.csv").write_text("path,note\nb.png,x\nsub/c.png,y\ngone.png,z\n")
    Path("list.txt").write_text("a.png\n\n./sub/../b.png\n")
    pq.write_table(pa.table({"path": ["a.png"], "label": [0]}), "list.parquet")
    return tmp_path


def names(listing: Listing) -> list[str]:
    assert set(listing.table["label"].to_pylist()) == {-1}
    assert len(listing.table) == len(listing.file_ids)
    return [os.path.relpath(path) for path in listing.table["path"].to_pylist()]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("a.png", ["a.png"]),
        ("sub", ["sub/c.png", "sub/raw", "sub/deep/d.png"]),
        ("*.png", ["a.png", "b.png"]),
        ("sub/*", ["sub/deep/d.png", "sub/c.png", "sub/raw"]),
        ("**/*.png", ["a.png", "b.png", "sub/c.png", "sub/deep/d.png"]),
        ("**", ["a.png", "b.png", "e.zip/x/e.png", "sub/c.png", "sub/raw", "sub/deep/d.png"]),
        ("e.zip", ["e.zip/x/e.png"]),
        ("e.zip/x/e.png", ["e.zip/x/e.png"]),
        ("f.parquet", ["f.parquet/0", "f.parquet/1"]),
        ("f.parquet/1", ["f.parquet/1"]),
        ("list.csv", ["b.png", "sub/c.png"]),
        ("list.txt", ["a.png", "b.png"]),
        ("list.parquet", ["a.png"]),
        (["b.png", "list.txt", "./b.png", "e.zip", "a.png"], ["b.png", "a.png", "e.zip/x/e.png"]),
    ],
)
def test_list_inputs_takes_images_wherever_they_lie(
    inputs: Any, expected: list[str], photos: Path
) -> None:
    found = names(list_inputs(inputs))
    if inputs == "**":
        assert set(expected) <= set(found) and len(set(found)) == len(found)
    else:
        assert found == expected


def test_list_inputs_of_folders_and_photos_keeps_the_paths_as_they_are_given(photos: Path) -> None:
    assert list_inputs("sub").table["path"][0].as_py() == "sub/c.png"
    assert list_inputs("a.png").table["path"].to_pylist() == ["a.png"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("list.csv", ("gone.png", "no such file")),
        ("sub", ("sub/notes.txt", NO_IMAGE)),
        ("sub/[nr]*", ("sub/notes.txt", NO_IMAGE)),
        ("sub/**", ("sub/notes.txt", NO_IMAGE)),
        (["sub", "sub/*", "./sub"], ("sub/notes.txt", NO_IMAGE)),
    ],
)
def test_list_inputs_names_what_is_left_out(
    inputs: str, expected: tuple[str, str], photos: Path
) -> None:
    (row,) = list_inputs(inputs).skipped.to_pylist()
    assert (os.path.relpath(row["path"]), row["reason"]) == expected


def test_list_inputs_leaves_out_containers_within_a_folder_alone(photos: Path) -> None:
    left_out = {row["path"]: row["reason"] for row in list_inputs(".").skipped.to_pylist()}
    assert {left_out[f"./{name}"] for name in ("e.zip", "f.parquet")} == {CONTAINER}
    left_out = dict.fromkeys(map(os.path.abspath, list_inputs("**").skipped["path"].to_pylist()))
    names = ("list.csv", "list.parquet", "list.txt", "sub/notes.txt")
    assert sorted(left_out) == [str(photos / name) for name in names]


def test_list_inputs_takes_tables_of_any_split(photos: Path) -> None:
    Path("hub/data").mkdir(parents=True)
    for split in ("train", "test"):
        pq.write_table(pa.table({"image": [PNG]}), f"hub/data/{split}-0.parquet")
    expected = ["hub/data/test-0.parquet/0", "hub/data/train-0.parquet/0"]
    for inputs in ("hub/data", "hub/*", "hub/**"):
        assert list_inputs(inputs).table["path"].to_pylist() == expected


@pytest.mark.parametrize("inputs", ["sub/c.png", "e.zip", "f.parquet", "list.csv", "list.parquet"])
def test_list_inputs_has_relative_paths_where_they_are_given_so(inputs: str, photos: Path) -> None:
    for given in (inputs, f"{photos}/{inputs}"):
        paths = list_inputs(given).table["path"].to_pylist()
        assert {os.path.isabs(path) for path in paths} == {os.path.isabs(given)}


def test_list_inputs_refuses_a_pattern_that_matches_no_image(photos: Path) -> None:
    message = error_of(list_inputs, "sub/*.txt")
    assert message.startswith("inputs=sub/*.txt: no images there; left out: sub/notes.txt (")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("gone.png", "inputs=gone.png: no such file or folder"),
        ("gone/*.jpg", "inputs=gone/*.jpg: nothing matches"),
        (["a.png", "gone"], "inputs=gone: no such file or folder"),
        ("a.png/b.png", "inputs=a.png/b.png: no such file or folder"),
    ],
)
def test_list_inputs_refuses_what_is_not_there(inputs: Any, expected: str, photos: Path) -> None:
    assert error_of(list_inputs, inputs) == expected
