"""Messages on missing test sets name the release that has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genspot.data.settings import TestSet, TrainingSet
from genspot.data.sources import load_test_sets, require_images
from helpers.errors import error_of
from helpers.images import save_set

PAGE = "https://example.org/release"


def missing(*test_sets: TestSet) -> str:
    return error_of(load_test_sets, list(test_sets))


def test_missing_sets_of_one_release_are_named_once_with_its_page(tmp_path: Path) -> None:
    sets = [TestSet(name, str(tmp_path / name), None, download=PAGE) for name in ("a", "b")]
    message = missing(*sets)
    assert message.startswith(
        f"no data for a, b: no folder {tmp_path}/a. Download them from {PAGE}"
    )
    assert "docs/test_sets.md" in message and "paths.test=PATH" in message
    assert "sywang" not in message


def test_missing_sets_with_an_offer_are_in_one_command_beside_other_releases(
    tmp_path: Path,
) -> None:
    present = TestSet("here", str(save_set(tmp_path / "here", 1, 1)), None, offer="no")
    released = TestSet("theirs", str(tmp_path / "theirs"), None, download=PAGE)
    offered = [
        TestSet(name, str(tmp_path / name), None, offer="fetch [{names}] of {20 GB}")
        for name in ("sitd", "san")
    ]
    message = missing(*offered, present, released)
    assert message == (
        f"no data for sitd, san, theirs: no folder {tmp_path}/sitd. To test on what is here: "
        "generator=[here]. fetch [sitd,san] of {20 GB}. Download theirs from "
        f"{PAGE} and unpack as docs/test_sets.md says, or set paths.test=PATH. "
        "paths.test=PATH names another folder"
    )


def test_missing_set_that_nobody_publishes_names_the_setting_of_its_folder(tmp_path: Path) -> None:
    message = missing(TestSet("mine", str(tmp_path / "mine"), None))
    assert message == (
        f"no data for mine: no folder {tmp_path}/mine. paths.test=PATH names another folder"
    )


def test_missing_class_folder_names_it_and_the_command_that_fetches_it(tmp_path: Path) -> None:
    places = [str(save_set(tmp_path / split / "car", 1, 1).parent) for split in ("train", "val")]
    source = TrainingSet("two", *places, ["car", "cat", "dog"], offer="This command fetches it")
    assert error_of(require_images, source, []) == (
        f"no data for two: {tmp_path}/train lacks the class folders cat, dog. "
        "This command fetches it"
    )
    require_images(replace(source, classes=["car"]), [])


@pytest.mark.parametrize("gone", ["real", "fake"])
def test_missing_half_of_a_set_is_named(tmp_path: Path, gone: str) -> None:
    place = {key: str(tmp_path / key) for key in ("real", "fake")}
    for key in place.keys() - {gone}:
        (tmp_path / key).mkdir()
    message = missing(TestSet("halves", place, "any", download=PAGE))
    assert f"no data for halves: no folder {tmp_path}/{gone}. Download" in message


def test_many_missing_sets_are_counted_and_their_releases_named_once(tmp_path: Path) -> None:
    sets = [
        TestSet(f"set{number}", str(tmp_path / f"folder{number}"), None, download=page)
        for number, page in enumerate([PAGE, PAGE, f"{PAGE}2", PAGE, f"{PAGE}2", None])
    ]
    message = missing(*sets)
    first = ", ".join(f"set{number} (no folder {tmp_path}/folder{number})" for number in range(3))
    assert message.startswith(f"no data for 6 sets: {first} and 3 more. Their releases: {PAGE}, ")
    assert message.count(f"{PAGE}2;") == 1 and message.count(PAGE) == 2
    assert "docs/test_sets.md lists all" in message
    assert not any(f"set{number}" in message for number in range(3, 6))
    assert len(message) - 5 * len(str(tmp_path)) < 600


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("gone", "no folder gone. Give the folder that holds 0_real/ and 1_fake/, or another"),
        ("gone.csv", "no file gone.csv. Check the path; the working directory is "),
        ({"real": "gone", "fake": "."}, "no folder gone. Check the path; the working directory"),
        ({"path": "gone.zip"}, "no file gone.zip. Check the path; the working directory is "),
        ("gone/*.parquet", "no file matches gone/*.parquet. Check the path; the working"),
    ],
)
def test_missing_set_of_the_user_is_told_in_its_own_form(place: Any, expected: str) -> None:
    assert missing(TestSet("mine", place, "any", own=True)).startswith(
        f"no data for mine: {expected}"
    )
