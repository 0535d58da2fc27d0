"""Messages on missing test sets name the release that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genspot.data.settings import TestSet
from genspot.data.sources import load_test_sets
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


def test_missing_sets_of_two_releases_are_told_apart(tmp_path: Path) -> None:
    present = TestSet("here", str(save_set(tmp_path / "here", 1, 1)), None, download=PAGE)
    released = TestSet("theirs", str(tmp_path / "theirs"), None, download=PAGE)
    message = missing(TestSet("sitd", str(tmp_path / "sitd"), None), present, released)
    assert "CNN_synth_testset.zip (20.1 GB) from the Hugging Face data set sywang" in message
    assert f"unpack to {tmp_path}, or" in message
    assert f"Download theirs from {PAGE}" in message
    assert "generator=[here]" in message


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
    assert "docs/test_sets.md lists all" in message and "sywang/CNNDetection" in message
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
