"""The table of published files: those of conf/download/ and of the user's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from genspot.download.table import Archive, Download, FileEntry, ReferenceLogit, Weights
from genspot.tasks.downloads import archives, read_downloads
from helpers.errors import error_of
from helpers.settings import ROOT
from helpers.tasks import composed

FILE = {"name": "a.zip", "url": "http://localhost:1/a.zip", "bytes": 10, "sha256": "0" * 64}
ARCHIVE = {
    "kind": "archive",
    "title": "mine",
    "licence": "none",
    "source": "https://example.org/a",
}
ARCHIVE |= {"split": "test", "files": [FILE]}
WEIGHTS = {key: value for key, value in ARCHIVE.items() if key != "split"}
WEIGHTS |= {"kind": "weights", "model": "resnet50"}
RELEASE = "https://huggingface.co/datasets/sywang/CNNDetection/resolve/"


def write(folder: Path, content: Any, name: str = "own", group: str = "download") -> None:
    file = folder / group / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))


def read(folder: Path) -> dict[str, Download]:
    with composed(f"hydra.searchpath=['file://{folder}']", folder=ROOT):
        return read_downloads()


def test_table_holds_the_archives_of_the_release_with_their_sizes() -> None:
    found = {one.name: one for one in archives(read_downloads())}
    assert {name: (one.size, len(one.files), one.split) for name, one in found.items()} == {
        "cnn_synth_testset": (20_052_866_587, 1, "test"),
        "progan_train": (74_924_002_876, 7, "train"),
        "progan_val": (830_792_545, 1, "val"),
    }
    # progan_testset.zip is the tenth file of the repository
    assert sum(one.size for one in found.values()) + 834_177_578 == 96_641_839_586
    train = found["progan_train"]
    assert train.size == 32 + 74_924_002_746 + 98  # the 7z around the ZIP file
    assert [file.name[-3:] for file in train.files] == [f"{n:03d}" for n in range(1, 8)]
    assert [n for n, file in enumerate(train.files, 1) if file.sha256 is None] == [3, 4]
    assert all(file.url == RELEASE + f"{REVISION}/{file.name}" for file in train.files)


REVISION = "f287cf3c3e92ca2e5451ce200bab8b6f5e0175b2"


def test_archives_name_the_classes_and_sets_of_conf() -> None:
    found = {one.name: one for one in archives(read_downloads())}
    with composed("data=progan_20cls", folder=ROOT) as cfg:
        for name in ("progan_train", "progan_val"):
            assert list(found[name].classes) == list(cfg.data.classes)
        assert set(found["cnn_synth_testset"].generators) == set(cfg.generator)
    for split, name in (("train", "progan_train"), ("val", "progan_val")):
        assert found[name].split == split
        assert set(found[name].data) == {
            path.stem for path in (ROOT / "conf/data").glob("progan*")
        }


def test_users_entries_stand_among_those_of_conf(tmp_path: Path) -> None:
    write(tmp_path, ARCHIVE | {"wrapper": "7z", "members": 3, "generators": ["san"]})
    logit = {"image": "real.png", "crop": None, "logit": -1.5}
    file = FILE | {"name": "w.pth", "sha256": None}
    write(
        tmp_path,
        WEIGHTS | {"files": [file], "aug": "none", "logits": [logit], "tolerance": 0.01},
        "own_weights",
    )
    found = read(tmp_path)
    assert list(found) == sorted(found) and "progan_train" in found
    entry = FileEntry("a.zip", "http://localhost:1/a.zip", 10, "0" * 64)
    about = ("mine", (entry,), "none", "https://example.org/a")
    assert found["own"] == Archive("own", *about, "test", "7z", 3, (), (), ("san",))
    weights = found["own_weights"]
    assert isinstance(weights, Weights)
    assert (weights.model, weights.data, weights.aug) == ("resnet50", None, "none")
    assert weights.logits == (ReferenceLogit("real.png", None, -1.5),)
    assert weights.files[0].sha256 is None and weights.tolerance == 0.01


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, 2", "cannot be read"),
        ("&a [*a]", "own.yaml cannot be read: a value holds itself"),
        ([ARCHIVE], "own.yaml: give kind, title"),
        (ARCHIVE | {"kind": "set"}, "own.yaml: kind=set: give archive or weights"),
        (ARCHIVE | {"size": 1}, "size is no key; there are: kind, title"),
        (ARCHIVE | {"model": "npr"}, "model is no key"),
        (ARCHIVE | {"split": "training"}, "split=training: give train or val or test"),
        (ARCHIVE | {"wrapper": "rar"}, "wrapper=rar: give 7z, or null"),
        (ARCHIVE | {"members": 0}, "members=0: give a whole number from 1 on"),
        (ARCHIVE | {"licence": ""}, "licence=: give a text"),
        (ARCHIVE | {"data": ["progan_3cls"]}, "data: there is no data/progan_3cls.yaml"),
        (ARCHIVE | {"generators": ["npr"]}, "generators: there is no generator/npr.yaml"),
        (ARCHIVE | {"files": []}, "files=[]: give a list of files, each {name"),
        (ARCHIVE | {"files": [FILE, FILE | {"name": "A.zip"}]}, "files: two have one name"),
        (ARCHIVE | {"files": [FILE | {"name": "../a"}]}, "files[0].name=../a: give a text with"),
        (ARCHIVE | {"files": [FILE | {"name": "b.Part"}]}, "files[0].name=b.Part: give a text"),
        (ARCHIVE | {"files": [FILE | {"url": "ftp://a/b"}]}, "files[0].url=ftp://a/b: give the"),
        (ARCHIVE | {"files": [FILE | {"bytes": "10"}]}, "files[0].bytes=10: give a whole number"),
        (ARCHIVE | {"files": [FILE | {"sha256": "abc"}]}, "files[0].sha256=abc: give the 64"),
        (ARCHIVE | {"files": [{"name": "a.zip"}]}, "files[0].url is missing; give name, url"),
        (WEIGHTS | {"files": [FILE, FILE | {"name": "b"}]}, "files: weights are one file"),
        (WEIGHTS | {"logits": [{"image": "a.png"}]}, "logits[0].crop is missing"),
        (WEIGHTS | {"split": "test"}, "split is no key"),
        ({key: value for key, value in ARCHIVE.items() if key != "split"}, "split is missing"),
        (
            ARCHIVE | {"files": [FILE | {"name": "progan_val.zip"}]},
            "download/own.yaml and download/progan_val.yaml have files of one name, progan_val.z",
        ),
    ],
)
def test_fault_of_an_entry_is_one_line_with_its_place(
    tmp_path: Path, content: Any, expected: str
) -> None:
    write(tmp_path, content)
    assert expected in error_of(read, tmp_path)


def test_entry_with_the_name_of_another_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ARCHIVE, "progan_val")
    assert "has the name of" in error_of(read, tmp_path)
