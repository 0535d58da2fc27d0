"""A packed copy beside files of other classes, and checked by task=pack without its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from genspot.data.packed.index import INDEX_FILE
from genspot.data.packed.reader import open_packed
from genspot.data.packed.sources import packed_folder
from genspot.data.packed.writer import pack
from genspot.data.settings import DEFAULT_LABELS, Classes
from genspot.data.sources import describe_shared_images
from genspot.data.walk import PACKED_LIST
from helpers.errors import error_of
from helpers.images import save_set
from helpers.member_sets import members_of, pack_members, write_files
from helpers.packed_sets import all_samples, from_files, from_packed

CLASSES = ["cat", "dog"]


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    for seed, name in enumerate(CLASSES):
        save_set(tmp_path / "source" / name, 7, 2, seed)
    return members_of(tmp_path / "source")


@pytest.fixture
def root(members: dict[str, bytes], tmp_path: Path) -> Path:
    """A folder with files of the classes bee and elk, and a copy of the members beside it."""
    pack_members(members, tmp_path / "train")
    for seed, name in enumerate(("bee", "elk")):
        save_set(tmp_path / "train" / name, 3, 4, 5 + seed)
    return tmp_path / "train"


def test_open_takes_classes_without_files_from_the_copy(root: Path, tmp_path: Path) -> None:
    packed, files = from_packed(root, CLASSES), from_files(tmp_path / "source", CLASSES)
    for one, other in zip(all_samples(packed), all_samples(files), strict=True):
        assert np.array_equal(one["image"], other["image"])  # type: ignore[arg-type]
    assert open_packed(root, "gan", CLASSES)[0].file_ids.size == 0


@pytest.mark.parametrize("classes", [["bee", "cat", "dog", "elk"], "any"])
def test_open_takes_some_classes_from_files_and_some_from_the_copy(
    root: Path, members: dict[str, bytes], classes: Classes
) -> None:
    if classes != "any":  # "any" is what there is
        assert "no packed copy of" in error_of(open_packed, root, "gan", classes)
    pack(root, "gan", classes)
    listing = open_packed(root, "gan", classes)[0]
    found = all_samples(from_packed(root, classes))
    write_files(members, root)
    expected = from_files(root, classes)
    assert listing.table.equals(expected.table)
    for one, other in zip(found, all_samples(expected), strict=True):
        assert np.array_equal(one["image"], other["image"])  # type: ignore[arg-type]
    assert len(set(listing.file_ids.tolist())) == len(listing.table)
    assert describe_shared_images({"train": listing, "val": listing})[0].endswith(
        "share images: 32 files, the first " + listing.table["path"][0].as_py() + ". The figures "
        "do not hold for other images."
    )


def test_pack_finds_a_copy_complete_whose_images_are_no_files(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    copy = packed_folder(root)
    before = {file: file.stat().st_mtime_ns for file in copy.rglob("0*.arrow")}
    for _ in range(2):
        pack(root, "gan", CLASSES)
        assert caplog.messages[-1] == f"{copy} holds 18 images, 0 of them unreadable; verified"
        assert {file: file.stat().st_mtime_ns for file in copy.rglob("0*.arrow")} == before
        shutil.rmtree(root, ignore_errors=True)  # the second time without the folder


@pytest.mark.parametrize("place", ["00001.arrow", INDEX_FILE])
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_pack_says_what_a_copy_lacks_whose_images_are_no_files(
    root: Path, place: str, damage: str
) -> None:
    file = packed_folder(root) / "dog" / "0_real" / place
    content = bytearray(file.read_bytes())
    content[-30 if place == INDEX_FILE else 3000] ^= 1
    file.unlink() if damage == "missing" else file.write_bytes(content)
    message = error_of(pack, root, "gan", CLASSES)
    assert str(file) in message and f"no files in {root}" in message
    assert "task=download data=gan data.format=packed recheck=true" in message


def test_class_of_a_copy_of_files_that_was_removed_is_refused(root: Path) -> None:
    pack(root, "gan", ["bee", "elk"])
    shutil.rmtree(root / "elk")
    assert "lacks the class folders elk" in error_of(open_packed, root, "gan", ["bee", "elk"])
    assert len(open_packed(root, "gan", ["bee", "cat"])[0].table) == 16


def test_class_of_which_some_files_are_there_is_refused(
    root: Path, members: dict[str, bytes]
) -> None:
    write_files(members, root, ["cat/0_real"])
    assert f"{root}/cat has no folder 1_fake" in error_of(open_packed, root, "gan", CLASSES)
    write_files(members, root, ["cat/1_fake"])
    (root / "cat" / "1_fake" / "000.png").unlink()
    assert f"{root}/cat/1_fake changed" in error_of(open_packed, root, "gan", CLASSES)


def test_damaged_list_does_not_hide_classes(root: Path) -> None:
    (packed_folder(root) / PACKED_LIST).write_text("{")
    assert len(open_packed(root, "gan", CLASSES)[0].table) == 18
    pack(root, "gan", "any")
    assert len(open_packed(root, "gan", "any")[0].table) == 32


def test_empty_folder_beside_a_copy_is_no_source(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()
    (root / ".record").mkdir()
    for classes in (CLASSES, "any"):
        assert len(open_packed(root, "gan", classes)[0].table) == 18


def test_open_names_the_offer_where_something_is_missing(root: Path) -> None:
    (packed_folder(root) / "cat" / "0_real" / INDEX_FILE).unlink()
    message = error_of(open_packed, root, "gan", CLASSES, DEFAULT_LABELS, "Fetch it.")
    assert message == f"there is no packed copy of {root}/cat/0_real. Fetch it."
