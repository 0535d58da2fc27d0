"""Lists of images: what is taken, and what is left out with which reason."""

from __future__ import annotations

import csv
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genspot.data.layout import Listing
from genspot.data.lists import TableOptions, is_list
from genspot.data.places import load_samples
from genspot.data.settings import DEFAULT_LABELS
from genspot.data.table_files import list_generators, load_tables
from helpers.errors import error_of

OPTIONS = TableOptions("mine", "any", DEFAULT_LABELS)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a.png to f.png; a list does not look into them."""
    for name in "abcdef":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    return tmp_path


def load(file: Path, classes: Any = "any", given: int | None = None, **columns: str) -> Listing:
    options = TableOptions("mine", classes, DEFAULT_LABELS, columns, given)
    return load_tables([str(file)], options)


def write(folder: Path, text: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def found(listing: Listing) -> list[tuple[str, str, int]]:
    """Return (name of the file, class, label) of each image."""
    return [
        (os.path.basename(row["path"]), row["class"], row["label"])
        for row in listing.table.to_pylist()
    ]


def left_out(listing: Listing) -> dict[str, str]:
    """Return name of the file → reason."""
    rows = listing.skipped.to_pylist()
    return {os.path.basename(row["path"]): row["reason"] for row in rows}


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_list_takes_columns_in_any_order_and_passes_over_others(ending: str, images: Path) -> None:
    columns = {
        "width": ["1", "2", "3"],
        "label": ["fake", "0_real", "1"],
        "class": ["cat", "dog", ""],
        "path": ["a.png", f"{images}/b.png", "./sub/../c.png"],
    }
    file = images / f"list.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table(columns), file)
    else:
        with file.open("w", newline="") as opened:
            rows = [list(columns), *zip(*columns.values(), strict=True)]
            csv.writer(opened, delimiter="\t" if ending == "tsv" else ",").writerows(rows)
    listing = load(file)
    assert found(listing) == [("a.png", "cat", 1), ("b.png", "dog", 0), ("c.png", "", 1)]
    assert listing.table["path"].to_pylist() == [f"{images}/{name}.png" for name in "abc"]
    assert set(listing.table["generator"].to_pylist()) == {"mine"}
    assert len(listing.skipped) == 0


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label\na.png,real\nü, b.png,fake\n".replace("ü, b.png", '"ü, b.png"'),
        'path,label\r\na.png,real\r\n"ü, b.png",fake\r\n',
        'path , LABEL\n a.png , Real \n\n"ü, b.png","FAKE"',
        'path,label,note\na.png,real\n"ü, b.png",fake,x,y,z\n',
    ],
)
def test_list_reads_the_forms_of_csv(text: str, images: Path) -> None:
    (images / "ü, b.png").touch()
    assert found(load(write(images, text))) == [("a.png", "", 0), ("ü, b.png", "", 1)]


def test_list_leaves_out_what_has_no_file_or_label_and_says_why(images: Path) -> None:
    (images / "folder").mkdir()
    text = "path,label\na.png,real\nb.png,\nc.png,cat\ngone.png,fake\n,fake\nfolder,real\n"
    listing = load(write(images, text + "a.png/x,real\nd.png,2\ne.png,1.0\n"))
    assert found(listing) == [("a.png", "", 0), ("e.png", "", 1)]
    assert left_out(listing) == {
        "b.png": "no label",
        "c.png": "label cat",
        "gone.png": "no such file",
        "list.csv": "row 5 has no path",
        "folder": "no file",
        "x": "no such file",
        "d.png": "label 2",
    }


def test_list_takes_a_repeated_path_once(images: Path) -> None:
    listing = load(
        write(images, f"path,label\na.png,0\n./a.png,real\n{images}/a.png,0\nb.png,1\n")
    )
    assert found(listing) == [("a.png", "", 0), ("b.png", "", 1)]
    assert len(listing.file_ids) == 2


def test_list_refuses_an_image_with_two_labels_also_by_a_link(images: Path) -> None:
    (images / "link.png").symlink_to("a.png")
    for other in ("a.png", "link.png"):
        file = write(images, f"path,label\na.png,real\n{other},fake\n")
        message = error_of(load, file)
        assert message == f"mine: {file} lists {images}/{other} as real and as fake"


def test_list_counts_links_to_one_file_as_that_file(images: Path) -> None:
    (images / "link.png").symlink_to("a.png")
    listing = load(write(images, "path,label\na.png,real\nlink.png,real\nb.png,1\n"))
    assert len(set(listing.file_ids.tolist())) == 2 < len(listing.table)


def test_list_takes_images_within_containers(images: Path) -> None:
    with zipfile.ZipFile(images / "set.zip", "w") as archive:
        archive.writestr("in/x.png", b"x")
    listing = load(write(images, "path,label\nset.zip/in/x.png,real\na.png,fake\n"))
    assert listing.table["path"].to_pylist() == [f"{images}/set.zip/in/x.png", f"{images}/a.png"]


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("a.png,real\nb.png,fake\n", "utf-8", "no column path; the first line must name the"),
        ("path\na.png\n", "utf-8", "has no column label, with 0_real or 1_fake in each row"),
        ("path;label\na.png;real\n", "utf-8", "there are: path;label, one column: separate them"),
        ("", "utf-8", "no column path"),
        ("path,label\nä.png,real\n", "latin-1", "is not in UTF-8: save it as CSV in UTF-8"),
        ("path,label\na.png,real\n", "utf-16", "is not in UTF-8: save it as CSV in UTF-8"),
        ('path,label\n"a.png,real\n', "utf-8", "cannot be read: line 2: unexpected end of data"),
        ("path,label\n", "utf-8", "no image in"),
        ("path,label\nx.png,real\ny.png,cat\n", "utf-8", "x.png (no such file), and 1 more"),
    ],
)
def test_list_refuses_in_one_line(text: str, encoding: str, expected: str, images: Path) -> None:
    assert expected in error_of(load, write(images, text, encoding=encoding))


def test_list_refuses_a_missing_and_a_damaged_file(images: Path) -> None:
    assert "gone.csv: No such file" in error_of(load, images / "gone.csv")
    damaged = write(images, "not Parquet", "list.parquet")
    assert "list.parquet cannot be read: " in error_of(load, damaged)


def test_list_takes_columns_of_other_names(images: Path) -> None:
    file = write(images, "file,is_fake,label,kind\na.png,0,x,cat\nb.png,1,y,dog\n")
    listing = load(file, image="file", label="is_fake", **{"class": "kind"})
    assert found(listing) == [("a.png", "cat", 0), ("b.png", "dog", 1)]
    assert "no column truth" in error_of(lambda: load(file, image="file", label="truth"))


def test_list_reads_numbers_and_nulls_of_parquet(images: Path) -> None:
    paths = [f"{name}.png" for name in "abcd"]
    for labels in (pa.array([0, 1, None, 1]), pa.array([0.0, 1.0, None, 1.0])):
        pq.write_table(pa.table({"path": paths, "label": labels}), images / "list.parquet")
        listing = load(images / "list.parquet")
        assert [label for *_, label in found(listing)] == [0, 1, 1]
        assert left_out(listing) == {"c.png": "no label"}


def test_list_reads_booleans_of_parquet_and_csv(images: Path) -> None:
    table = pa.table({"path": ["a.png", "b.png"], "label": [False, True]})
    pq.write_table(table, images / "list.parquet")
    text = write(images, "path,label\na.png,False\nb.png,True\n")  # as pandas writes them
    for file in (images / "list.parquet", text):
        listing = load(file)
        assert found(listing) == [("a.png", "", 0), ("b.png", "", 1)]
        assert not left_out(listing)


def test_list_takes_chosen_classes_alone(images: Path) -> None:
    file = write(images, "path,label,class\na.png,0,cat\nb.png,1,cat\nc.png,0,dog\n")
    assert [name for name, *_ in found(load(file, ["cat"]))] == ["a.png", "b.png"]
    assert "lacks the classes cow" in error_of(load, file, ["cat", "cow"])


@pytest.mark.parametrize("name", ["list.csv", "list.txt"])
def test_list_gives_all_images_one_label(name: str, images: Path) -> None:
    text = "a.png\n\nb.png\n"
    file = write(images, text if name.endswith("txt") else f"path\n{text}", name)
    assert found(load(file, given=1)) == [("a.png", "", 1), ("b.png", "", 1)]


def test_list_generators_shares_real_images_of_none(images: Path) -> None:
    text = "path,label,generator\na.png,real,\nb.png,fake,sd15\nc.png,1,ffhq\nd.png,real,ffhq\n"
    file = write(images, text + "e.png,real,Real\n")
    generators = list_generators([str(file)], OPTIONS)
    assert generators == (["sd15", "ffhq"], True)
    assert [name for name, *_ in found(load(file, only="sd15"))] == ["a.png", "b.png", "e.png"]
    ffhq = found(load(file, only="ffhq"))
    assert [name for name, *_ in ffhq] == ["a.png", "c.png", "d.png", "e.png"]
    assert len(load(file).table) == 5


def test_list_names_what_belongs_to_no_generator_as_left_out(images: Path) -> None:
    text = "path,label,generator\na.png,real,\nb.png,fake,x\nc.png,fake,\nd.png,,\ne.png,1,y\n"
    file = write(images, text)
    assert list_generators([str(file)], OPTIONS) == (["x", "y"], True)
    for only, name in (("x", "b.png"), ("y", "e.png")):
        listing = load(file, only=only)
        assert found(listing) == [("a.png", "", 0), (name, "", 1)]
        assert left_out(listing) == {
            "c.png": "a fake image without a generator",
            "d.png": "no label",
        }
    assert left_out(load(file)) == {"d.png": "no label"}  # without `only` it is one set


def test_list_knows_an_image_within_a_zip_as_the_one_of_the_zip(images: Path) -> None:
    with zipfile.ZipFile(images / "set.zip", "w") as archive:
        for name in ("0_real/x.png", "1_fake/y.png"):
            archive.writestr(name, b"x")
    text = "path,label\nset.zip/0_real/x.png,real\nset.zip/1_fake/y.png,fake\n"
    whole = load_samples(str(images / "set.zip"), "mine", "any")
    assert load(write(images, text)).file_ids.tolist() == whole.file_ids.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,label\na.png,real\nb.png,fake\n", ([], False)),
        ("path,label,generator\na.png,real,\nb.png,fake,\n", ([], True)),
        ("path,label,generator\na.png,real,x\nb.png,fake,x\n", (["x"], False)),
    ],
)
def test_list_generators_without_generators_or_shared_reals(
    text: str, expected: tuple[list[str], bool], images: Path
) -> None:
    assert list_generators([str(write(images, text))], OPTIONS) == expected


def test_is_list_tells_paths_from_encoded_images(tmp_path: Path) -> None:
    for name, columns in {
        "paths": {"Path": ["a.png"], "label": [0]},
        "images": {"path": ["a.png"], "image": [b"x"]},
    }.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    found = [is_list(str(tmp_path / f"{name}.parquet")) for name in ("paths", "images")]
    assert found == [True, False]
    assert is_list("x.TSV") and not is_list("x.png")


def test_list_of_many_rows_takes_about_a_second(images: Path) -> None:
    count = 20_000
    names = np.array(["a.png", "b.png"])[np.arange(count) % 2]
    rows = "".join(f"{'./' * (row // 2 % 50)}{name},{row % 2}\n" for row, name in enumerate(names))
    file = write(images, f"path,label\n{rows}")
    start = time.perf_counter()
    assert len(load(file).table) == 2
    assert time.perf_counter() - start < 5  # a tenth of it on an idle core
