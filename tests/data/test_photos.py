"""Photographs of the user's own."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.data.simulated.photos import describe_own, find_own, own
from helpers.arrays import make_noise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(25):
        file = tmp_path / "photos" / str(number % 2) / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_noise(40, 60, number)).save(file)
    return tmp_path / "photos"


def split(place: Path | str, name: str, seed: int = 0) -> list[str]:
    return find_own(str(place), name, seed)[0]


def test_tenth_of_the_photographs_is_for_validation(folder: Path) -> None:
    train, val = split(folder, "train"), split(folder, "val")
    assert len(val) == 2 and not {*train} & {*val}
    assert {*train, *val} == {str(path) for path in folder.rglob("*.png")}
    assert train == sorted(train) == split(folder, "train") != split(folder, "train", seed=1)


def test_photographs_may_be_a_pattern_or_a_zip_file(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    places = (folder, f"{folder}/*/*.png", f"{folder}/**/[01]", tmp_path / "photos.zip")
    digests = [describe_own(split(place, "train")) for place in places]
    assert all(digest == digests[0] for digest in digests) and digests[0]["count"] == 23
    (folder / "0" / "00.png").rename(folder / "0" / "renamed.png")
    assert describe_own(split(folder, "train")) != digests[0]


def test_other_photographs_of_the_same_names_are_told_apart(folder: Path) -> None:
    paths = split(folder, "train")
    before = describe_own(paths)
    Image.fromarray(make_noise(41, 61, 7)).save(paths[0])
    assert describe_own(paths) != before
    Path(paths[0]).unlink()
    assert describe_own(paths)["count"] == len(paths)  # a list may name what is gone


@pytest.mark.parametrize("side", [16, 40])
def test_window_is_the_whole_photograph_by_its_shorter_side(folder: Path, side: int) -> None:
    photos = own(str(folder), "val", seed=0, side=40)
    assert photos.classes == ["", ""]
    original = Image.open(split(folder, "val")[1])
    width = 60 * side // 40
    resized = np.asarray(original.resize((width, side), Image.Resampling.LANCZOS))
    found = set()
    for seed in range(40):
        cut = photos.cut(1, side, np.random.default_rng(seed))
        left = [i for i in range(width - side + 1) if (resized[:, i : i + side] == cut).all()]
        assert len(left) == 1
        found.add(left[0])
    assert {0, width - side} <= found  # both ends are reached, at side 16 by chance 1 in 9


def test_unreadable_and_small_photographs_are_left_out_and_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "0" / "00.png").write_bytes(b"no image")
    Image.fromarray(make_noise(60, 39, 0)).save(folder / "1" / "01.png")
    (folder / "photo.pdf").write_bytes(b"no photo")
    with caplog.at_level(logging.WARNING):
        usable = [len(own(str(folder), name, 0, 40).classes) for name in ("train", "val")]
    assert sum(usable) == 23
    counted = [record.getMessage() for record in caplog.records]
    assert counted and all("are left out of the" in message for message in counted)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, r"^data\.photos=.*photos: nothing is there$"),
        ([], r"no images|0 photographs there"),
        (["a.png"], "1 photographs there; give at least two"),
        (["a.png", "1_fake/b.png"], "1_fake holds fake images by its name"),
        (["small/a.png", "small/b.png"], r"none of 1 .*8 × 8 pixels; simulation\.size and auto"),
    ],
)
def test_photographs_that_cannot_be_used_are_one_line(
    tmp_path: Path, files: list[str] | None, message: str
) -> None:
    photos = tmp_path / "photos"
    for name in files or []:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_noise(8, 8, 0)).save(photos / name)
    if files is not None:
        photos.mkdir(exist_ok=True)
    with pytest.raises(GenspotError, match=message) as error:
        own(str(photos), "train", seed=0, side=16)
    assert "\n" not in str(error.value)
