"""Sets divided into training, validation and test parts."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from genspot.common.errors import GenspotError
from genspot.data.layout import SAMPLE_SCHEMA, SKIPPED_SCHEMA, Listing, sample_table
from genspot.data.settings import Split, TestSet, TrainingSet
from genspot.data.sources import load_training_set
from genspot.data.splits import divide, load_part, take_parts
from helpers.images import save_image, save_set

SPLITS: tuple[Split, ...] = ("train", "val", "test")
NOTHING = sample_table([], SKIPPED_SCHEMA)


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


def parts_by_hand(rows: list[tuple[str, int]]) -> list[str]:
    """Return the part of each (scene, label), by plain lists."""
    real = {scene for scene, label in rows if label == 0}
    found = {}
    for stratum in (real, {scene for scene, label in rows if label == 1} - real):
        ranked = sorted(stratum, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        tenth = max(1, int(len(ranked) / 10 + 0.5)) if len(ranked) > 2 else 0
        for place, scene in enumerate(ranked[::-1]):
            found[scene] = "test" if place < tenth else "val" if place < 2 * tenth else "train"
    return [found[scene] for scene, _ in rows]


def divided(rows: list[tuple[str, int]]) -> list[str]:
    """Return what `divide` makes of the same."""
    parts = divide([scene for scene, _ in rows], np.array([label for _, label in rows]))
    return [SPLITS[part] for part in parts]


def counts(rows: list[tuple[str, int]], label: int) -> list[int]:
    """Return the number of images of a label in each part."""
    parts = [part for part, row in zip(divided(rows), rows, strict=True) if row[1] == label]
    return [parts.count(split) for split in SPLITS]


def test_divide_has_the_order_of_the_digest() -> None:
    """Golden values: other machines and later versions must divide a set the same."""
    rows = [(f"cat/{number}", 0) for number in range(12)]
    found = divided(rows)  # by sha256sum, the digest of cat/10 is the highest, then that of cat/6
    assert [found.index("test"), found.index("val"), found.count("train")] == [10, 6, 10]


@pytest.mark.parametrize("seed", range(20))
def test_divide_is_that_of_plain_lists_in_any_order(seed: int) -> None:
    draw = random.Random(seed)
    names = [f"c{draw.randrange(3)}/{number}" for number in range(draw.randrange(40, 200))]
    # Scenes of real images, most of them with fakes, some with two; and fakes without a real one.
    rows = [(name, 0) for name in names[::2]]
    rows += [(name, 1) for name in names if draw.random() < 0.8 for _ in range(1 + (seed % 2))]
    draw.shuffle(rows)
    assert divided(rows) == parts_by_hand(rows)


@pytest.mark.parametrize("scenes", [3, 4, 7, 14, 25, 28, 30, 40, 80, 999])
@pytest.mark.parametrize("paired", [True, False])
def test_divide_is_balanced_and_nearly_exact(scenes: int, paired: bool) -> None:
    rows = [(f"/{number}", 0) for number in range(scenes)]
    rows += [(f"/{number}" if paired else f"/fake{number}", 1) for number in range(scenes)]
    real, fake = counts(rows, 0), counts(rows, 1)
    assert real == fake and sum(real) == scenes
    assert real[1] == real[2] and real[1] >= 1 and abs(real[1] - scenes / 10) <= 0.7


def test_divide_depends_on_the_real_images_of_a_set_alone() -> None:
    """So sets that share their real images train on no real image that another one tests."""
    reals = [(f"/{number}", 0) for number in range(100)]
    fakes = [[], reals[:60], reals, [(f"/x{number}", 1) for number in range(40)]]
    found = {tuple(divided(reals + [(name, 1) for name, _ in own])[:100]) for own in fakes}
    assert len(found) == 1


def test_divide_gives_each_part_fakes_where_few_real_images_have_one() -> None:
    reals = [(f"/{number}", 0) for number in range(60)]
    for start in range(56):
        rows = reals + [(name, 1) for name, _ in reals[start : start + 4]]
        assert min(counts(rows, 0)) >= 6 and min(counts(rows, 1)) >= 1


@pytest.mark.parametrize("scenes", [1, 2])
def test_divide_trains_on_what_is_too_little(scenes: int) -> None:
    assert divided([(f"/{number}", 0) for number in range(scenes)]) == ["train"] * scenes
    assert divided([]) == []


@pytest.mark.parametrize(
    ("path", "stem"),
    [("/d/x.parquet/12", "12"), ("/d/a.b.png", "a.b"), ("/d/.hidden", ".hidden"), ("é.png", "é")],
)
def test_take_parts_goes_by_class_and_name_without_folder_and_extension(
    path: str, stem: str
) -> None:
    others = [(f"/{number}.png", "") for number in range(40)]
    places = [(path, ""), (f"/elsewhere/{stem}.webp", "")]
    found = [
        [
            split
            for split in range(3)
            if path in take_parts(listing, [split]).table["path"].to_pylist()
        ]
        for path, name in places
        for listing in [Listing(table((path, name), *others), NOTHING, np.zeros(0, np.int64))]
    ]
    assert found[0] == found[1] and len(found[0]) == 1


def test_load_part_divides_a_set_without_rest_and_keeps_pairs_together(tmp_path: Path) -> None:
    one = TestSet("mine", str(save_pairs(tmp_path, 60)), "any", divided=True)
    parts = {split: names(load_part(one, split)) for split in SPLITS}
    whole = names(load_part(replace(one, divided=False), "test"))
    assert sorted(name for part in parts.values() for name in part) == whole
    assert len(whole) == 120
    assert [len(parts[split]) for split in SPLITS] == [96, 12, 12]
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
    assert (len(train.table), len(val.table)) == (72, 8)


def test_load_part_by_class_keeps_classes_whole(tmp_path: Path) -> None:
    one = TestSet("mine", str(save_pairs(tmp_path, 1, classes=60)), "any", divided=True)
    by_class = replace(one, by_class=True)
    parts = [set(load_part(by_class, split).table["class"].to_pylist()) for split in SPLITS]
    assert [*map(len, parts)] == [48, 6, 6] and len(set.union(*parts)) == 60


@pytest.mark.parametrize(
    ("real", "fake", "split", "expected"),
    [
        (
            2,
            2,
            "val",
            r"mine: the validation images \(0 of the 4 of the set, which is divided by s",
        ),
        (30, 1, "test", r"\(3 of the 31 of .* lack fake images; give more images, or name its tr"),
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
