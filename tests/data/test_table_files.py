"""Several tables are read as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from genspot.data.lists import TableOptions
from genspot.data.places import load_samples
from genspot.data.settings import DEFAULT_LABELS, Labels
from genspot.data.table_files import list_generators
from helpers.errors import error_of
from helpers.label_folders import touch

OPTIONS = TableOptions("mine", "any", DEFAULT_LABELS)


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    """Two lists that share a real image; each has a generator and classes of its own."""
    touch(*(tmp_path / f"{name}.png" for name in "abc"))
    rows = {"1": "a.png,real,cat,\nb.png,1,dog,sd15\n", "2": "a.png,0,cat,\nc.png,1,cow,flux\n"}
    for name, text in rows.items():
        (tmp_path / f"{name}.csv").write_text(f"path,label,class,generator\n{text}")
    return [f"{tmp_path}/{name}.csv" for name in rows]


def test_load_tables_takes_several_lists_as_one(lists: list[str], tmp_path: Path) -> None:
    place = f"{tmp_path}/*.csv"
    rows = load_samples(place, "mine", "any").table.to_pylist()
    assert [(Path(row["path"]).stem, row["class"], row["label"]) for row in rows] == [
        ("a", "cat", 0),
        ("b", "dog", 1),
        ("c", "cow", 1),
    ]
    assert len(load_samples(place, "mine", ["cat", "cow"]).table) == 2
    assert list_generators(lists, OPTIONS) == (["sd15", "flux"], True)
    for only in ("sd15", "flux"):
        assert len(load_samples({"path": place, "only": only}, "mine", "any").table) == 2


def test_load_tables_refuses_an_image_that_two_lists_label_otherwise(
    lists: list[str], tmp_path: Path
) -> None:
    Path(lists[1]).write_text("path,label\na.png,fake\n")
    message = error_of(load_samples, f"{tmp_path}/*.csv", "mine", "any")
    assert message == f"mine: {lists[0]} and 1 more lists {tmp_path}/a.png as real and as fake"


def test_load_tables_refuses_a_generator_that_no_row_has(lists: list[str], tmp_path: Path) -> None:
    place = {"path": f"{tmp_path}/*.csv", "only": "sd51"}
    message = error_of(load_samples, place, "mine", "any")
    assert message.endswith("has no image of the generator sd51; there are: sd15, flux")
    Path(lists[0]).write_text("path,label\na.png,real\nb.png,fake\n")
    message = error_of(load_samples, {"path": lists[0], "only": "x"}, "mine", "any")
    assert message.endswith("there are: none")


def test_load_tables_with_unknown_labels_alone_says_how_they_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,camera\na.png,flux\n")
    message = error_of(load_samples, f"{tmp_path}/list.csv", "mine", "any")
    assert message.endswith(
        "a.png (label camera), and 1 more; give the names of the labels: "
        "labels={real: [NAME], fake: [NAME]}"
    )
    (tmp_path / "list.csv").write_text("path,label\ngone.png,real\n")
    message = error_of(load_samples, f"{tmp_path}/list.csv", "mine", "any")
    assert message.endswith("gone.png (no such file)")


@pytest.mark.parametrize(("names", "side"), [("12", "fake"), (("real", "camera"), "real")])
def test_load_tables_refuses_one_label_beside_unknown_ones(
    tmp_path: Path, names: Sequence[str], side: str
) -> None:
    for name in ("a.png", "b.png"):
        touch(tmp_path / name)
    file = tmp_path / "list.csv"
    file.write_text(f"path,label\na.png,{names[0]}\nb.png,{names[1]}\n")
    message = error_of(load_samples, str(file), "mine", "any")
    assert f"would be a set of {side} images alone" in message
    assert message.endswith(
        f"b.png (label {names[1]}); give the names of the labels: "
        "labels={real: [NAME], fake: [NAME]}"
    )
    given = Labels(real=(names[0],), fake=(names[1],))
    assert load_samples(str(file), "mine", "any", given).table["label"].to_pylist() == [0, 1]
