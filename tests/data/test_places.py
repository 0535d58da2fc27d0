"""The same images have the same labels, classes and pixels wherever they come from."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from genspot.data import image_io
from genspot.data.label_folders import OUTSIDE
from genspot.data.places import load_images, load_samples, missing_path
from genspot.data.settings import Labels, Place, TrainingSet
from genspot.data.sources import load_training_set
from helpers.containers import as_containers, image_table, write_table, write_zip
from helpers.errors import error_of
from helpers.images import save_image, save_set
from helpers.label_folders import make_label_folders, touch

Rows = list[tuple[str, int]]
NAMES = ["0.png", "1.png", "sub/2.png", "sub/deep/3.jpg"]


def rows_of(place: Place | Path, classes: Any = "any", **options: Labels) -> Rows:
    """Return class and label of each image."""
    table = load_samples(place, "gan", classes, **options).table
    return list(zip(table["class"].to_pylist(), table["label"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A folder of two classes, and its images in other forms."""
    folder = tmp_path_factory.mktemp("forms")
    save_set(folder / "set" / "cat", 3, 2, seed=1)
    save_set(folder / "set" / "dog", 2, 4, seed=2)
    return folder / "set", as_containers(folder / "set", folder / "out")


@pytest.mark.parametrize("classes", ["any", ["dog"]])
def test_forms_of_the_same_images_give_the_same_labels_classes_and_pixels(
    forms: tuple[Path, dict[str, Path]], classes: Any
) -> None:
    folder, others = forms
    expected = load_samples(folder, "gan", classes).table
    pixels = [image_io.read(path) for path in expected["path"].to_pylist()]
    for form, place in others.items():
        listing = load_samples(str(place), "gan", classes)
        assert listing.table.drop("path").equals(expected.drop("path")), form
        assert len(set(listing.file_ids)) == len(expected) and not len(listing.skipped), form
        for path, image in zip(listing.table["path"].to_pylist(), pixels, strict=True):
            np.testing.assert_array_equal(image_io.read(path), image)
            np.testing.assert_array_equal(image_io.read_with_pil(path), image)


@pytest.mark.parametrize(
    ("real", "fake"), [("nature", "ai"), ("REAL", "FAKE"), ("Real", "1_fake"), ("real", "Ai")]
)
def test_label_folders_have_several_names_and_case_does_not_matter(
    tmp_path: Path, real: str, fake: str
) -> None:
    touch(tmp_path / "val" / real / "n01" / "a.png", tmp_path / "val" / fake / "b.png")
    expected = [("val", 1)] if fake == "1_fake" else [("val", 0), ("val", 1)]
    assert rows_of(tmp_path) == expected  # where a first name is, only first names count


def test_label_folders_of_the_first_names_make_others_classes(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "nature", tmp_path / "cat" / "real", tmp_path / "ai")
    expected = [(name, label) for name in ("ai", "cat/real", "nature") for label in (0, 0, 1)]
    assert rows_of(tmp_path) == expected
    touch(tmp_path / "fake" / "x.png")
    make_label_folders(tmp_path)
    listing = load_samples(tmp_path, "gan", "any")
    assert rows_of(tmp_path) == [("", 0), ("", 0), ("", 1), *expected]
    assert listing.skipped.select(["path", "reason"]).to_pylist() == [
        {"path": f"{tmp_path}/fake/x.png", "reason": OUTSIDE}
    ]


def test_label_folders_have_the_names_of_the_setting(tmp_path: Path) -> None:
    touch(tmp_path / "Photos" / "a.png", tmp_path / "SDXL" / "b.png", tmp_path / "flux" / "c.png")
    labels = Labels(real=("photos",), fake=("sdxl", "flux"))
    assert rows_of(tmp_path, labels=labels) == [("", 0), ("", 1)]  # sdxl is the first name
    labels = Labels(real=("none", "photos"), fake=("nothing", "sdxl", "flux"))
    assert rows_of(tmp_path, labels=labels) == [("", 0), ("", 1), ("", 1)]
    assert "no label folders (0_real, real, nature, 1_fake" in error_of(
        load_samples, tmp_path, "gan", "any"
    )
    assert "each name once" in error_of(Labels, ("a", "A"), ("b",))


@pytest.mark.parametrize("classes", ["any", None, ["cat"]])
def test_zip_with_a_top_folder_of_its_own_is_the_set(tmp_path: Path, classes: Any) -> None:
    parent = "set/" if classes is None else "set/cat/"
    names = [f"{parent}{label}/a.png" for label in ("0_real", "1_fake")]
    extra = ["__MACOSX/set/._a.png", "set/.DS_Store", f"{parent}0_real/.hidden.png"]
    archive = write_zip(tmp_path / "set.zip", {name: b"x" for name in [*names, *extra]})
    class_name = "" if classes is None else "cat"
    assert rows_of(archive, classes) == [(class_name, 0), (class_name, 1)]


def test_zip_lists_what_is_left_out_with_the_reason(tmp_path: Path) -> None:
    members = {"0_real/a.png": b"x", "1_fake\\b.PNG": b"x", "1_fake/notes.txt": b"no image"}
    outside = {"c.png": b"x", "../0_real/d.png": b"x"}
    archive = write_zip(tmp_path / "a.zip", members | outside)
    listing = load_samples(archive, "gan", None)
    paths = [f"{archive}/0_real/a.png", f"{archive}/1_fake/b.PNG"]
    assert listing.table["path"].to_pylist() == paths
    left_out = {row["path"]: row["reason"] for row in listing.skipped.to_pylist()}
    assert left_out.keys() == {
        f"{archive}/1_fake/notes.txt",
        f"{archive}/c.png",
        f"{archive}/../0_real/d.png",
    }
    assert left_out[f"{archive}/c.png"] == OUTSIDE


def test_damaged_and_empty_zips_are_refused_in_one_line(tmp_path: Path) -> None:
    empty = write_zip(tmp_path / "empty.zip", {})
    assert str(empty) in error_of(load_samples, empty, "gan", "any")
    assert f"no images at {empty}" in error_of(load_images, str(empty), "gan", 0)
    (tmp_path / "torn.zip").write_bytes(b"PK\3\4 torn")
    assert "cannot be read as zip" in error_of(load_samples, tmp_path / "torn.zip", "gan", "any")
    (tmp_path / "notes.pdf").write_bytes(b"x")
    assert "is none of a folder" in error_of(load_samples, tmp_path / "notes.pdf", "gan", "any")


def test_folder_named_like_a_zip_is_a_folder(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "x.zip")
    assert rows_of(tmp_path / "x.zip") == [("", 0), ("", 0), ("", 1)]


def test_sides_take_all_images_below_whatever_their_folders_are_called(tmp_path: Path) -> None:
    touch(tmp_path / "coco" / "a" / "1.png", tmp_path / "coco" / "2.png")
    touch(tmp_path / "flux-1.png", tmp_path / "flux-2.png")
    archive = write_zip(tmp_path / "sd.zip", {"x/y/3.png": b"x"})
    table = write_table(tmp_path / "t.parquet", image_table([b"a", b"b"]))
    for fake, count in ((f"{tmp_path}/flux-*.png", 2), (str(archive), 1), (str(table), 2)):
        place = {"real": str(tmp_path / "coco"), "fake": fake}
        assert rows_of(place) == [("", 0)] * 2 + [("", 1)] * count
    assert rows_of({"real": str(tmp_path / "coco")}) == [("", 0)] * 2
    assert rows_of({"real": None, "fake": str(archive)}) == [("", 1)]


@pytest.mark.parametrize("pattern", ["**", "*", "sub*", "[012s]*"])
def test_sides_of_a_pattern_count_each_image_once(tmp_path: Path, pattern: str) -> None:
    touch(*(tmp_path / name for name in NAMES))
    (tmp_path / "0list.csv").write_text("path\n0.png\nsub/2.png\n")
    (tmp_path / "0notes").write_text("no image")
    listing = load_samples({"real": f"{tmp_path}/{pattern}"}, "gan", "any")
    is_folder = pattern == "sub*"
    expected = ["sub/2.png", "sub/deep/3.jpg"] if is_folder else NAMES
    paths = listing.table["path"].to_pylist()
    assert sorted(paths) == sorted(f"{tmp_path}/{name}" for name in expected)
    assert len(listing.file_ids) == len(paths)
    left_out = set() if is_folder else {"0list.csv", "0notes"}
    assert {Path(path).name for path in listing.skipped["path"].to_pylist()} == left_out


def test_pattern_of_many_files_is_listed_at_once(tmp_path: Path) -> None:
    touch(*(tmp_path / f"{number}.png" for number in range(50)))
    table = load_samples({"fake": f"{tmp_path}/*.png"}, "gan", "any").table
    assert len(table) == 50 and table["path"].num_chunks < 5  # reading a row searches its chunk


def test_folders_and_images_within_a_zip_are_places(
    forms: tuple[Path, dict[str, Path]], tmp_path: Path
) -> None:
    folder, _ = forms
    members = {
        f"all/{file.relative_to(folder)}": file.read_bytes() for file in folder.rglob("*.png")
    }
    archive = write_zip(tmp_path / "a.zip", members)
    assert rows_of(f"{archive}/all") == rows_of(folder)
    assert rows_of(f"{archive}/all/cat") == [("", 0)] * 3 + [("", 1)] * 2
    real = f"{archive}/all/dog/0_real"
    assert (
        rows_of({"real": real, "fake": f"{archive}/all/cat/1_fake"})
        == [("", 0), ("", 0)] + [("", 1)] * 2
    )
    (image,) = load_samples({"real": f"{real}/000.png"}, "gan", "any").table["path"].to_pylist()
    assert image == f"{real}/000.png" and image_io.read(image).shape == (40, 40, 3)
    for place in (f"{archive}/all", {"real": real}):
        assert missing_path(place) is None
    assert missing_path(f"{tmp_path}/gone.zip/all") == f"{tmp_path}/gone.zip/all"
    assert missing_path(f"{folder}/cat/0_real/000.png/x") is not None
    assert "no folder" in error_of(load_samples, f"{archive}/gone", "gan", "any")
    message = error_of(load_samples, {"real": f"{archive}/gone"}, "gan", "any")
    assert f"nothing is at {archive}/gone" in message


def test_sides_refuse_label_folders_of_the_other_side_and_shared_images(tmp_path: Path) -> None:
    make_label_folders(tmp_path / "set")
    real = str(tmp_path / "set")
    message = error_of(load_samples, {"real": real}, "gan", "any")
    assert f"{real}/1_fake holds fake images by its name" in message
    message = error_of(load_samples, {"real": real, "fake": f"{real}/1_fake"}, "gan", "any")
    (tmp_path / "set/1_fake/a.png").rename(tmp_path / "set/0_real/c.png")
    (tmp_path / "set/1_fake").rmdir()
    message = error_of(load_samples, {"real": real, "fake": f"{real}/0_real"}, "gan", "any")
    assert "3 images are real and fake" in message
    assert "nothing is at" in error_of(load_samples, {"fake": f"{real}/gone"}, "gan", "any")
    assert "is no place" in error_of(load_samples, {"fakes": real}, "gan", "any")


def test_folders_and_patterns_of_tables_are_joined_in_order(tmp_path: Path) -> None:
    for number in range(3):
        table = image_table([b"x"] * 2, label=[0, 1], **{"class": [str(number)] * 2})
        write_table(tmp_path / f"test-{number}-of-3.parquet", table)
    expected = [(str(number), label) for number in range(3) for label in (0, 1)]
    assert rows_of(tmp_path) == rows_of(f"{tmp_path}/test-*.parquet") == expected
    assert rows_of(str(tmp_path), ["2"]) == expected[4:]
    write_table(tmp_path / "train-0-of-1.parquet", table)
    message = error_of(load_samples, tmp_path, "gan", "any")
    assert "the splits test, train" in message and f"{tmp_path}/test*" in message
    assert rows_of(f"{tmp_path}/test*") == expected
    assert "nothing matches" in error_of(load_samples, f"{tmp_path}/dev*", "gan", "any")
    touch(tmp_path / "test.png")
    assert "is no table of images" in error_of(load_samples, f"{tmp_path}/test*", "gan", "any")
    make_label_folders(tmp_path)
    assert rows_of(tmp_path) == [("", 0), ("", 0), ("", 1)]  # beside tables of something else


def test_training_takes_any_place_and_needs_both_labels(
    forms: tuple[Path, dict[str, Path]],
) -> None:
    folder, others = forms
    sides = {"real": f"{folder}/*/0_real", "fake": f"{folder}/*/1_fake"}
    for place in (str(others["zip"]), str(others["arrow stream"]), sides):
        source = TrainingSet("mine", place, place, "any", own=True)
        listing, reader = load_training_set(source, "train", 0)
        assert len(listing.table) == 11 and reader is None
    one = TrainingSet("mine", {"real": f"{folder}/*/0_real"}, None, "any", own=True)
    assert "lacks real or fake images" in error_of(load_training_set, one, "train", 0)
    source = TrainingSet("mine", str(others["zip"]), None, "any", num_classes=1, own=True)
    assert len(load_training_set(source, "train", 0)[0].table["class"].unique()) == 1


def test_packed_format_takes_folders_alone(forms: tuple[Path, dict[str, Path]]) -> None:
    folder, others = forms
    for place in (str(others["zip"]), {"real": str(folder)}):
        source = TrainingSet("mine", place, None, "any", format="packed", own=True)
        message = error_of(load_training_set, source, "train", 0)
        assert "only folders are packed: data.format=files" in message


def test_training_on_large_row_groups_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("genspot.data.image_rows.LARGE_GROUP", 10_000)
    table = image_table([bytes([row]) * 600 for row in range(40)], label=[0, 1] * 20)
    for rows, warned in ((1, 0), (40, 1)):
        file = write_table(tmp_path / f"{rows}.parquet", table, rows=rows)
        source = TrainingSet("mine", str(file), str(file), "any", own=True)
        load_training_set(source, "val", 0)
        load_training_set(source, "train", 0)
        assert len(caplog.messages) == warned
    assert "row groups" in caplog.messages[0] and ".arrow" in caplog.messages[0]


def test_limits_hold_within_containers(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", 0, fake=False, size=(1200, 1000))
    content = (tmp_path / "a.png").read_bytes()
    archive = write_zip(tmp_path / "a.zip", {"a.png": content, "empty.png": b""})
    for name in ("a.png", "empty.png"):
        plain = tmp_path / name
        plain.touch()
        reasons = []
        for path in (str(plain), f"{archive}/{name}"):
            with pytest.raises(image_io.UnreadableError) as error:
                image_io.read(path, max_megapixels=1)
            reasons.append(str(error.value))
        assert reasons[0] == reasons[1]


def test_plain_files_are_read_without_a_look_for_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "a.png", 0, fake=False)
    monkeypatch.setattr("genspot.common.containers.container_of", None)
    assert image_io.read(str(tmp_path / "a.png")).shape == (40, 40, 3)


def test_zip64_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("0_real/a.png", "1_fake/a.png"):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(b"x")
    assert rows_of(tmp_path / "a.zip") == [("", 0), ("", 1)]


def test_zip_of_one_label_is_a_set_of_it(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"cat/1_fake/a.png": b"x"})
    assert rows_of(archive) == [("cat", 1)]


def test_rows_of_files_elsewhere_are_these_files(tmp_path: Path) -> None:
    save_image(tmp_path / "images" / "a.png", 0, fake=False)
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [
        {"bytes": None, "path": "images/a.png"},
        {"bytes": None, "path": "images/gone.png"},
        None,
        {"bytes": b"x", "path": "images/a.png"},
    ]
    table = pa.table({"image": pa.array(rows, struct), "label": ["Real", "AI", "Fake", "fake"]})
    for name in ("a.parquet", "a.arrow"):
        file = write_table(tmp_path / name, table)
        listing = load_samples(str(file), "gan", "any")
        assert listing.table.select(["path", "label"]).to_pylist() == [
            {"path": f"{tmp_path}/images/a.png", "label": 0},
            {"path": f"{file}/3", "label": 1},
        ]
        assert listing.skipped["path"].to_pylist() == [
            f"{tmp_path}/images/gone.png",
            f"{file}/2",
        ]
        assert "null" in listing.skipped["reason"][1].as_py()
