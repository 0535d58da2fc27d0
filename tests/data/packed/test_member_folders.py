"""The label folders of an archive are those that are found among its unpacked files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from genspot.data.label_folders import OUTSIDE, find_label_images
from genspot.data.packed.member_folders import OTHER_NAME, find_member_folders
from genspot.data.settings import DEFAULT_LABELS, Labels
from helpers.errors import error_of
from helpers.member_sets import write_files

RELEASED = ["car/0_real/b.png", "car/0_real/a.png", "car/1_fake/a.png", "cat/1_fake/c.jpg"]
RELEASED += ["cat/0_real/z/1.png", "cat/0_real/10.png", "cat/0_real/9.PNG", "cat/0_real/z-/1.png"]


@pytest.mark.parametrize(
    "names",
    [
        RELEASED,
        ["0_real/a.png", "1_fake/a.png"],
        [*RELEASED, "car/nature/a.png", "car/0_real/.b.png", "__MACOSX/car/0_real/a.png"],
        [*RELEASED, ".git/car/0_real/a.png", "car/0_real/.thumbs/a.png"],
        ["a b/nature/é.webp", "a b/AI/1.tiff", "c/Fake/x.bmp", "c/REAL/x.bmp"],
    ],
)
def test_find_member_folders_equals_the_listing_of_the_unpacked_files(
    tmp_path: Path, names: list[str]
) -> None:
    found, outside = find_member_folders(pa.array(names), "x", DEFAULT_LABELS)
    write_files({name: b"GIF89a" for name in names}, tmp_path)
    expected, left_out = find_label_images(tmp_path, "x", "any")
    places = {
        (str(tmp_path / one.folder), one.class_name, one.label): one.names.to_pylist()
        for one in found
    }
    assert places == {tuple(one): images.names.to_pylist() for one, images in expected}
    assert [str(tmp_path / path) for path, _ in outside] == [path for path, _ in left_out]
    for one in found:
        paths = [f"{one.folder}/{name}" for name in one.names.to_pylist()]
        assert [names[row] for row in one.rows] == paths


def test_find_member_folders_names_what_it_leaves_out() -> None:
    names = ["a.png", "car/0_real/Thumbs.db", "car/b.png", *RELEASED]
    found, outside = find_member_folders(pa.array(names), "x", DEFAULT_LABELS)
    assert outside == [("a.png", OUTSIDE), ("car/b.png", OUTSIDE)]
    left_out = {one.folder: one.left_out for one in found}
    assert left_out.pop("car/0_real") == [("Thumbs.db", OTHER_NAME)]
    assert not any(left_out.values())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png"], "the set: it holds no images in label folders; left out: a.png"),
        ([*RELEASED, "dog/0_real/a.png"], "the set: its folder dog holds no fake images"),
        (["1_fake/a.png", "0_real/readme.txt"], "the set: it holds no real images"),
    ],
)
def test_find_member_folders_without_one_label_raises(names: list[str], message: str) -> None:
    assert error_of(find_member_folders, pa.array(names), "the set", DEFAULT_LABELS).startswith(
        message
    )


def test_find_member_folders_takes_the_labels_that_are_given() -> None:
    names = pa.array(["p/photo/1.png", "p/gan/1.png", "p/0_real/1.png"])
    found, outside = find_member_folders(names, "x", Labels(("photo",), ("gan",)))
    assert {one.folder: one.label for one in found} == {"p/photo": 0, "p/gan": 1}
    assert [path for path, _ in outside] == ["p/0_real/1.png"]
