"""Sets divided into training, validation and test parts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.data.layout import SAMPLE_SCHEMA, Listing, sample_table
from genspot.data.settings import Split, TestSet, TrainingSet
from genspot.data.sources import load_training_set
from genspot.data.splits import load_part, tenths
from helpers.images import save_image, save_set

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def table(*rows: tuple[str, str]) -> pa.Table:
    """Return a table of samples of (path, class)."""
    return sample_table([(path, "a", name, 0) for path, name in rows], SAMPLE_SCHEMA)


def save_pairs(folder: Path, count: int, classes: int = 1) -> Path:
    """Save `count` real images and as many fakes of the same names in each of some classes."""
    for number in range(classes):
        for label, fake in (("0_real", False), ("1_fake", True)):
            for index in range(count):
                file = folder / f"c{number}" / label / f"{index:03}.{'jpg' if fake else 'png'}"
                save_image(file, index, fake, (8, 8))
    return folder


def names(listing: Listing) -> list[str]:
    """Return class, label and stem of each image, sorted."""
    parts = [Path(path).parts[-3:] for path in listing.table["path"].to_pylist()]
    return sorted("/".join((*above, Path(file).stem)) for *above, file in parts)


def test_tenths_are_those_of_the_digest_of_class_and_stem() -> None:
    """Golden values: other machines and later versions must divide a set the same."""
    rows = table(("/a/0_real/1.png", "cat"), ("/b/1_fake/1.jpeg", "cat"), ("/a/1.png", "dog"))
    digests = [hashlib.sha256(key).hexdigest() for key in (b"cat/1", b"cat/1", b"dog/1")]
    assert tenths(rows).tolist() == [int(int(one, 16) / 2**256 * 10) for one in digests]
    assert tenths(rows).tolist() == [0, 0, 7]


@pytest.mark.parametrize(
    ("path", "stem"),
    [("/d/x.parquet/12", "12"), ("/d/a.b.png", "a.b"), ("/d/.hidden", ".hidden"), ("é.png", "é")],
)
def test_tenths_take_the_name_without_folder_and_extension(path: str, stem: str) -> None:
    assert tenths(table((path, "")))[0] == tenths(table((f"/elsewhere/{stem}.webp", "")))[0]


def test_tenths_by_class_keep_a_class_together_and_are_about_equal() -> None:
    rows = table(*((f"/{number}.png", f"photo{number % 7}") for number in range(700)))
    found = tenths(rows, by_class=True)
    assert all(len(set(found[start::7])) == 1 for start in range(7))
    counts = np.bincount(tenths(table(*((f"/{n}.png", "") for n in range(20_000)))), minlength=10)
    assert counts.min() > 1800 and counts.max() < 2200


def test_load_part_divides_a_set_without_rest_and_keeps_pairs_together(tmp_path: Path) -> None:
    one = TestSet("mine", str(save_pairs(tmp_path, 60)), "any", divided=True)
    parts = {split: names(load_part(one, split)) for split in SPLITS}
    whole = names(load_part(replace(one, divided=False), "test"))
    assert sorted(name for part in parts.values() for name in part) == whole
    assert len(whole) == 120
    for found in parts.values():
        reals, fakes = ([n for n in found if label in n] for label in ("0_real", "1_fake"))
        assert fakes == [name.replace("0_real", "1_fake") for name in reals] and reals


def test_load_part_has_the_files_and_what_is_left_out_of_its_part_alone(tmp_path: Path) -> None:
    one = TestSet("mine", str(save_pairs(tmp_path, 60)), "any", divided=True)
    for number in range(30):
        (tmp_path / "c0" / "1_fake" / f"{number}.txt").write_text("no image")
    listings = [load_part(one, split) for split in SPLITS]
    for listing in listings:
        inodes = [Path(path).stat().st_ino for path in listing.table["path"].to_pylist()]
        assert len(listing.file_ids) == len(inodes) == len(set(listing.file_ids.tolist()))
        assert 0 < len(listing.skipped) < 30
    assert sum(len(listing.skipped) for listing in listings) == 30
    assert not set(listings[0].file_ids.tolist()) & set(listings[2].file_ids.tolist())


def test_load_part_takes_the_places_that_the_set_names(tmp_path: Path) -> None:
    places = {name: str(save_pairs(tmp_path / name, 40)) for name in ("path", "train", "val")}
    own = TestSet("mine", classes="any", **places)  # type: ignore[arg-type]
    for split, name in (("train", "train"), ("val", "val"), ("test", "path")):
        listing = load_part(own, split)  # type: ignore[arg-type]
        assert len(listing.table) == 80
        assert all(path.startswith(places[name]) for path in listing.table["path"].to_pylist())
    without = replace(own, val=None)
    train, val = (load_part(without, split) for split in ("train", "val"))
    assert sorted(names(train) + names(val)) == names(load_part(own, "train"))
    assert 0 < len(val.table) < len(train.table) / 4


def test_load_part_by_class_keeps_classes_whole(tmp_path: Path) -> None:
    one = TestSet("mine", str(save_pairs(tmp_path, 1, classes=60)), "any", divided=True)
    by_class = replace(one, by_class=True)
    parts = [set(load_part(by_class, split).table["class"].to_pylist()) for split in SPLITS]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts)) == 60


@pytest.mark.parametrize(
    ("real", "fake", "split", "expected"),
    [
        (2, 2, "val", r"mine: the validation images \(\d of the 4 of the set, by a digest of "),
        (30, 1, "test", r"lack fake images; give more images, or name the parts: generator\.mine"),
    ],
)
def test_load_part_too_small_says_so_in_one_line(
    real: int, fake: int, split: Split, expected: str, tmp_path: Path
) -> None:
    one = TestSet("mine", str(save_set(tmp_path, real, fake)), None, divided=True)
    with pytest.raises(GenspotError, match=expected) as error:
        load_part(one, split)
    assert "\n" not in str(error.value)
    hint = "data.hold_out=[mine]" in str(error.value)
    assert hint == (split != "test")


def test_load_training_set_joins_the_parts_under_their_names(tmp_path: Path) -> None:
    sets = tuple(
        TestSet(name, str(save_pairs(tmp_path / name, 40)), "any", own=True) for name in "ab"
    )
    source = TrainingSet("sets", None, None, "any", parts=sets)
    listing, reader = load_training_set(source, "train", seed=0)
    assert reader is None and set(listing.table["generator"].to_pylist()) == {"a", "b"}
    per_set = [load_part(one, "train").table["path"].to_pylist() for one in sets]
    assert listing.table["path"].to_pylist() == per_set[0] + per_set[1]
    missing = replace(source, parts=(*sets, TestSet("c", str(tmp_path / "no"), "any", own=True)))
    with pytest.raises(GenspotError, match=r"no data for c: "):
        load_training_set(missing, "train", seed=0)


@pytest.mark.parametrize("change", [{"num_classes": 2}, {"format": "packed"}])
def test_training_on_sets_refuses_what_it_does_not_use(change: dict[str, object]) -> None:
    parts = (TestSet("a", "here", "any"),)
    with pytest.raises(GenspotError, match=r"leave data\.num_classes and data\.format"):
        TrainingSet("sets", None, None, "any", parts=parts, **change)  # type: ignore[arg-type]
