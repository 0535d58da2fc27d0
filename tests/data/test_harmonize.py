"""Copies by a protocol: names, recipes, files that are there already."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.data import harmonize, image_io
from genspot.data.harmonize import (
    check_space,
    copy_set,
    digest_of,
    encode,
    missing_rows,
    name_copies,
    open_recipe,
    refuse_foreign,
)
from genspot.data.layout import sample_table
from helpers.arrays import make_noise
from helpers.runs import read_csv


def names(*rows: tuple[str, str, int]) -> list[str]:
    return name_copies(
        sample_table([(path, "s", one, label) for path, one, label in rows])
    ).to_pylist()


def save(path: Path, seed: int = 0, side: int = 20) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(make_noise(side, side, seed)).save(path)
    return str(path)


def load_of(table: pa.Table):
    paths = table["path"].to_pylist()
    return lambda row: image_io.read(paths[row])


def test_copies_have_the_released_layout_and_the_names_of_their_sources() -> None:
    assert names(
        ("/d/0_real/a b.jpg", "", 0), ("/d/1_fake/ü.webp", "", 1), ("/d/x.parquet/12", "cat", 1)
    ) == ["0_real/a b.png", "1_fake/ü.png", "cat/1_fake/12.png"]


def test_copies_of_one_name_are_numbered_within_their_folder() -> None:
    assert names(
        ("/d/0_real/a.jpg", "", 0),
        ("/d/0_real/a.png", "", 0),
        ("/d/0_real/sub/A.png", "", 0),
        ("/d/0_real/a_2.png", "", 0),
        ("/d/1_fake/a.png", "", 1),
    ) == ["0_real/a.png", "0_real/a_2.png", "0_real/A_3.png", "0_real/a_2_2.png", "1_fake/a.png"]


@pytest.mark.parametrize(
    ("class_name", "folder"),
    [
        ("a/b", "a/b"),
        ("../../etc", "_../_../etc"),
        ("/etc", "etc"),
        (".hidden", "_.hidden"),
        ("0_real", "_0_real"),
        ("__MACOSX", "___MACOSX"),
        ("a\nb\\c", "a_b_c"),
    ],
)
def test_copies_stay_below_the_set_whatever_the_class_is_called(class_name, folder) -> None:
    assert names(("/d/x.png", class_name, 0)) == [f"{folder}/0_real/x.png"]


def test_copies_of_strange_names_are_visible_and_short() -> None:
    hidden, long, empty = names(
        ("/d/.a.png", "", 0), ("/d/" + "é" * 125, "", 0), ("/d/...", "", 0)
    )
    assert hidden == "0_real/_.a.png"
    assert long == f"0_real/{'é' * 100}.png"
    assert not Path(empty).name.startswith(".")


def test_encode_keeps_the_pixels_and_adds_no_metadata(tmp_path: Path) -> None:
    pixels = make_noise(17, 9, 3)
    (tmp_path / "a.png").write_bytes(encode(pixels))
    np.testing.assert_array_equal(image_io.read(str(tmp_path / "a.png")), pixels)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})


def test_copy_set_copies_what_is_missing_or_older_and_lists_all(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{number}.png", number) for number in range(3)]
    (tmp_path / "3.png").write_bytes(b"no image")
    table = sample_table([(path, "s", "", 0) for path in [*paths, str(tmp_path / "3.png")]])
    copies, folder = name_copies(table), tmp_path / "out" / "s"
    assert missing_rows(table, copies, folder) == [0, 1, 2, 3]
    failed = copy_set(table, copies, folder, load_of(table), 0)
    assert list(failed) == [3] and "no image of a known format" in failed[3]
    assert sorted(os.listdir(folder / "0_real")) == ["0.png", "1.png", "2.png"]
    rows = read_csv(tmp_path / "out" / "s.csv")
    assert [row["copy"] for row in rows] == [*(f"s/0_real/{n}.png" for n in range(3)), ""]
    assert [row["source"] for row in rows] == table["path"].to_pylist()
    assert rows[3]["reason"] == failed[3]

    os.utime(folder / "0_real" / "1.png", (0, 0))  # older than its source
    (folder / "0_real" / "2.png").write_bytes(b"")
    save(tmp_path / "0.png", 9)
    later = os.stat(folder / "0_real" / "0.png").st_mtime_ns + 10**9
    os.utime(paths[0], ns=(later, later))
    assert missing_rows(table, copies, folder) == [0, 1, 2, 3]
    copy_set(table, copies, folder, load_of(table), 0)
    for path, name in zip(paths, ("0.png", "1.png", "2.png"), strict=True):
        copy = image_io.read(str(folder / "0_real" / name))
        np.testing.assert_array_equal(copy, image_io.read(path))


def test_copy_set_leaves_current_copies_alone(tmp_path: Path) -> None:
    table = sample_table([(save(tmp_path / "a.png"), "s", "", 1)])
    copies, folder = name_copies(table), tmp_path / "s"
    copy_set(table, copies, folder, load_of(table), 0)
    before = os.stat(folder / "1_fake" / "a.png")
    assert copy_set(table, copies, folder, lambda row: pytest.fail("read again"), 0) == {}
    assert os.stat(folder / "1_fake" / "a.png").st_ino == before.st_ino


def test_copy_set_makes_both_label_folders_of_a_class(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"no image")
    rows = [(save(tmp_path / "a.png"), "s", "cat", 0), (str(tmp_path / "b.png"), "s", "cat", 1)]
    table = sample_table(rows)
    copy_set(table, name_copies(table), tmp_path / "s", load_of(table), 0)
    assert os.listdir(tmp_path / "s" / "cat" / "0_real") == ["a.png"]
    assert os.listdir(tmp_path / "s" / "cat" / "1_fake") == []


def test_copy_that_cannot_be_written_raises_one_line(tmp_path: Path) -> None:
    table = sample_table([(save(tmp_path / "a.png"), "s", "", 0)])
    (tmp_path / "s" / "0_real" / "a.png.partial").mkdir(parents=True)
    with pytest.raises(GenspotError, match=r"a\.png cannot be written: .+continues\Z"):
        copy_set(table, name_copies(table), tmp_path / "s", load_of(table), 0)


def test_refuse_foreign_takes_new_and_own_folders_alone(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "new")
    refuse_foreign(tmp_path)
    (tmp_path / ".lock").touch()
    refuse_foreign(tmp_path)
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(GenspotError, match=r"holds something else than copies; .+task\.output"):
        refuse_foreign(tmp_path)
    with pytest.raises(GenspotError, match="is no folder"):
        refuse_foreign(tmp_path / "holiday.jpg")


def test_recipe_is_continued_and_extended(tmp_path: Path) -> None:
    open_recipe(tmp_path, "fit_8", {"a": ("x", 3)})
    (tmp_path / "a").mkdir()
    recipe = open_recipe(tmp_path, "fit_8", {"a": ("x", 3), "b": ("y", 1)})
    harmonize.close_recipe(tmp_path, recipe, "a", 2)
    stored = json.loads((tmp_path / "recipe.json").read_text())
    assert stored["protocol"] == "fit_8" and list(stored["sets"]) == ["a", "b"]
    assert stored["sets"]["a"] == {
        "images": 3,
        "images_digest": "x",
        "complete": True,
        "copied": 2,
    }
    assert stored["sets"]["b"]["complete"] is False


@pytest.mark.parametrize(
    ("protocol", "sets", "message"),
    [
        ("fit_9", {"a": ("x", 3)}, "has copies by protocol=fit_8, not fit_9"),
        ("fit_8", {"a": ("z", 3)}, "is the copy of other images"),
        ("fit_8", {"c": ("z", 3)}, "exists and is no copy"),
    ],
)
def test_recipe_of_something_else_is_refused(protocol, sets, message, tmp_path: Path) -> None:
    open_recipe(tmp_path, "fit_8", {"a": ("x", 3)})
    (tmp_path / "c").mkdir()
    before = (tmp_path / "recipe.json").read_bytes()
    with pytest.raises(GenspotError, match=message):
        open_recipe(tmp_path, protocol, sets)
    assert (tmp_path / "recipe.json").read_bytes() == before


@pytest.mark.parametrize("name", ["recipe.json", "a.csv"])
def test_recipe_refuses_a_set_with_the_name_of_its_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="is a file beside the copies"):
        open_recipe(tmp_path, "fit_8", {"a": ("x", 3), name: ("y", 1)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2, "protocol": "a", "sets": {}}'])
def test_damaged_recipe_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(GenspotError, match=r"recipe\.json cannot be used: .+\Z"):
        open_recipe(tmp_path, "fit_8", {"a": ("x", 3)})


def test_digest_depends_on_images_and_names() -> None:
    tables = [sample_table([(path, "s", "", 0)]) for path in ("/a.png", "/b.png")]
    copies = [name_copies(table) for table in tables]
    digests = {digest_of(table, copy) for table in tables for copy in copies}
    assert len(digests) == 4


def test_check_space_estimates_what_is_missing(tmp_path: Path, monkeypatch) -> None:
    noise = make_noise(30, 30, 0)
    load = {"s": (lambda row: noise, list(range(100)))}
    size = 100 * len(encode(noise))
    assert check_space(tmp_path, load) == size
    usage = shutil.disk_usage(tmp_path)._replace(free=size)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(GenspotError, match=r"needs about .+ GB and the disk has .+task\.output"):
        check_space(tmp_path, load)


def test_check_space_without_readable_images_needs_none(tmp_path: Path) -> None:
    def fail(row: int) -> np.ndarray:
        raise OSError

    assert check_space(tmp_path, {"s": (fail, [0, 1])}) == 0
    assert check_space(tmp_path, {"s": (fail, [])}) == 0
