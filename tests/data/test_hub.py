"""Data sets in the form of Hugging Face, from local folders, without a network."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import types
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as PilImage

from genspot.common.containers import read_bytes
from genspot.data import hub
from genspot.data.layout import Listing
from genspot.data.places import find_generators, load_samples
from genspot.data.settings import DEFAULT_LABELS, Labels
from helpers.errors import error_of
from helpers.image_bytes import encode

datasets = pytest.importorskip("datasets")

COUNT = 12


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return encode(PilImage.fromarray(pixels), "PNG")


def write_split(folder: Path, split: str, count: int, names: list[str]) -> None:
    """Write a split of images as `datasets` does, in two files; labels alternate."""
    columns = {
        "image": [{"bytes": png(row), "path": f"{row}.png"} for row in range(count)],
        "label": [row % len(names) for row in range(count)],
        "model": ["" if row % 2 == 0 else ("flux", "sd15")[row // 2 % 2] for row in range(count)],
    }
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    kinds["model"] = datasets.Value("string")
    whole = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for number in range(2):
        part = whole.shard(2, number, contiguous=True)
        part.to_parquet(folder / "data" / f"{split}-0000{number}-of-00002.parquet")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of the library, without a network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub._fetch.cache_clear()
    yield tmp_path / "cache"
    hub._fetch.cache_clear()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A data set with the splits test (12 images) and train (6)."""
    folder = tmp_path / "local"
    write_split(folder, "test", COUNT, ["real", "fake"])
    write_split(folder, "train", COUNT // 2, ["real", "fake"])
    return folder


def load(place: Mapping[str, Any], labels: Labels = DEFAULT_LABELS) -> Listing:
    return load_samples(place, "mine", "any", labels)


def contents(listing: Listing) -> list[bytes]:
    return [read_bytes(path) for path in listing.table["path"].to_pylist()]


def test_data_set_is_read_from_the_arrow_files_of_the_cache(local: Path, cache: Path) -> None:
    listing = load({"hub": str(local), "split": "test"})
    assert all(path.startswith(str(cache)) for path in listing.table["path"].to_pylist())
    assert contents(listing) == [png(row) for row in range(COUNT)]  # the bytes, not decoded
    assert listing.table["label"].to_pylist() == [0, 1] * (COUNT // 2)
    assert len(load({"hub": str(local), "split": "train"}).table) == COUNT // 2


def test_data_set_is_read_from_files_also_where_the_library_would_keep_it_in_memory(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "IN_MEMORY_MAX_SIZE", 2**30)
    assert len(load({"hub": str(local)}).table) == COUNT


def test_split_is_test_unless_it_is_named(local: Path) -> None:
    assert len(load({"hub": str(local)}).table) == COUNT


def test_limit_takes_the_first_images(local: Path) -> None:
    assert contents(load({"hub": str(local), "limit": 5})) == [png(row) for row in range(5)]


def test_streamed_data_set_keeps_the_first_images_in_one_parquet_file(
    local: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"hub": str(local), "split": "test", "streaming": True, "limit": 7}
    place["folder"] = str(tmp_path / "kept")
    listing = load(place)
    (file,) = (tmp_path / "kept").glob("*.parquet")
    assert set(map(os.path.dirname, listing.table["path"].to_pylist())) == {str(file)}
    assert contents(listing) == [png(row) for row in range(7)]
    assert listing.table["label"].to_pylist() == [0, 1, 0, 1, 0, 1, 0]
    assert pq.read_metadata(file).num_rows == 7
    assert not list(cache.rglob("*.arrow"))
    hub._fetch.cache_clear()
    monkeypatch.setattr(datasets, "load_dataset", None)  # it is there: nothing is fetched again
    assert contents(load(place)) == [png(row) for row in range(7)]


def test_streamed_parts_of_other_sizes_and_splits_have_files_of_their_own(
    local: Path, tmp_path: Path
) -> None:
    place = {"hub": str(local), "streaming": True, "folder": str(tmp_path / "kept")}
    sizes = [
        len(load(place | {"split": split, "limit": limit}).table)
        for split, limit in (("test", 2), ("test", 3), ("train", 2))
    ]
    assert sizes == [2, 3, 2]
    assert len(list((tmp_path / "kept").glob("*.parquet"))) == 3


def test_names_of_classes_decide_the_labels_and_the_log_says_which(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_split(tmp_path / "set", "test", 6, ["AI", "Camera", "Drawing"])
    labels = Labels(real=("camera",), fake=("ai",))
    with caplog.at_level(logging.INFO):
        listing = load({"hub": str(tmp_path / "set")}, labels)
    assert listing.table["label"].to_pylist() == [1, 0, 1, 0]
    assert set(listing.skipped["reason"].to_pylist()) == {"label Drawing"}
    assert "labels AI, Camera, Drawing; real images: Camera; fakes: AI" in caplog.text


@pytest.mark.parametrize("streaming", [False, True])
def test_folder_of_images_in_that_form_is_read_too(streaming: bool, tmp_path: Path) -> None:
    for number, label in enumerate(("fake", "real")):
        file = tmp_path / "set" / "test" / label / "a.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(png(number))
    place: dict[str, Any] = {"hub": str(tmp_path / "set"), "folder": str(tmp_path / "kept")}
    if streaming:
        place |= {"streaming": True, "limit": 5}
    listing = load(place)
    assert listing.table["label"].to_pylist() == [1, 0]
    for path, number in zip(listing.table["path"].to_pylist(), (0, 1), strict=True):
        content = read_bytes(path) if streaming else Path(path).read_bytes()
        assert np.array_equal(
            np.asarray(PilImage.open(BytesIO(content))),
            np.asarray(PilImage.open(BytesIO(png(number)))),
        )


def test_column_of_generators_makes_a_set_of_each(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"hub": str(local), "split": "test", "generator": "model"}
    assert find_generators(place, "mine", DEFAULT_LABELS) == (["flux", "sd15"], True)
    monkeypatch.setattr(datasets, "load_dataset", None)  # all generators are of one download
    listing = load(place | {"only": "sd15"})
    assert listing.table["label"].to_pylist().count(0) == COUNT // 2
    assert listing.table["label"].to_pylist().count(1) == COUNT // 4


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": "foo"}, "Unknown split \"foo\". Should be one of ['train', 'test']."),
        ({"split": "test[:3]"}, "name a whole split; limit=N takes its first images"),
        ({"config": "foo"}, "BuilderConfig 'foo' not found. Available: ['default']"),
        ({"image": "img"}, "image=img: LOCAL has no such column; there are: image, label, model"),
        ({"label": "truth"}, "label=truth: LOCAL has no such column"),
        ({"hub": "nobody/nothing"}, "the data set nobody/nothing of Hugging Face: "),
        ({"streaming": True}, "streaming of LOCAL needs limit=N, the number of images"),
        ({"streaming": True, "limit": 2, "split": "foo"}, "Available splits: ['train', 'test']"),
        ({"streaming": True, "limit": 2, "image": "img"}, "image=img: LOCAL has no such column"),
    ],
)
def test_what_is_not_there_is_one_line_that_says_what_there_is(
    change: dict[str, Any], expected: str, local: Path, tmp_path: Path
) -> None:
    place = {"hub": str(local), "split": "test", "folder": str(tmp_path / "kept"), **change}
    assert expected.replace("LOCAL", str(local)) in error_of(load, place)
    assert not list(tmp_path.glob("kept/*.parquet"))


@pytest.mark.parametrize("other", [None, types.ModuleType("datasets")])
def test_missing_library_is_one_line_that_says_what_to_install(
    other: types.ModuleType | None, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the folder datasets/ of a checkout is imported in its place."""
    monkeypatch.setitem(sys.modules, "datasets", other)
    message = error_of(load, {"hub": str(local)})
    assert "needs datasets: pip install 'genspot[hub]' (in a checkout: make hub)" in message


def test_folder_of_save_to_disk_is_to_be_given_itself(local: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    datasets.load_dataset(str(local), split="test").save_to_disk(saved)
    message = error_of(load, {"hub": str(saved)})
    assert message.endswith(f"give the folder itself, test_sets={{NAME: {saved}}}")
    assert len(load_samples(str(saved), "mine", "any").table)


def test_client_of_hugging_face_logs_errors_alone(tmp_path: Path) -> None:
    """Without a network, it would log each of its tries, twice."""
    program = (
        "import genspot.tasks.composition, huggingface_hub.utils.logging as client\n"
        "print(client.get_verbosity() == client.ERROR)"
    )
    command = [sys.executable, "-c", program]
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_VERBOSITY"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.stdout == "True\n", result.stderr
