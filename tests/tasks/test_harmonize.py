"""task=harmonize: copies whose pixels are those of protocol=, and what they leave alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.data import harmonize as copies
from genspot.data.audit.probe import probe
from genspot.data.places import load_samples
from genspot.evaluation.shortcuts import judge
from genspot.runtime.shutdown import ShutdownRequested
from helpers import faulty_sets
from helpers.arrays import make_noise
from helpers.containers import write_zip
from helpers.images import save_image, save_set
from helpers.runs import read_csv, read_logits
from helpers.settings import SEARCH_PATH, tiny
from helpers.tasks import run_task

PROTOCOL = "fit_36+jpeg_40"


def copy(source: object, folder: Path, *more: str) -> Path:
    """Copy a test set named mine below `folder`, and return its copy."""
    settings = ["task=harmonize", f"test_sets={{mine: {source}}}", "workers=0"]
    run_task(*settings, f"task.output={folder}/out", *more, folder=folder / "run")
    return folder / "out" / "mine"


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def probes_of(folder: Path) -> tuple[pa.Table, np.ndarray, list[str]]:
    """Return the probes of a set, its labels and its file names."""
    table = load_samples(str(folder), "mine", "any").table
    probes, unreadable = probe(table, 0, 179, "")
    assert not len(unreadable)
    return probes, table["label"].to_numpy(), [Path(one).stem for one in table["path"].to_pylist()]


def decisive(folder: Path) -> set[str]:
    return {one.name for one in judge(*probes_of(folder)) if one.judgement == "decisive"}


def test_test_of_the_copy_and_test_with_the_protocol_give_the_same_bits(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    target = copy(sets / "test", tmp_path, f"protocol={PROTOCOL}")
    logits = []
    for images, protocol in ((target, "none"), (sets / "test", PROTOCOL)):
        settings = ["task=test", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
        settings += [f"test_sets={{mine: {images}}}", f"protocol={protocol}"]
        folder = run_task(*settings, folder=tmp_path / f"test_{protocol[:3]}")
        found = read_logits(folder)
        logits.append({path.removeprefix(f"{images}/"): logit for path, logit in found.items()})
    assert logits[0] == logits[1] and len(logits[0]) == 13
    left_out = {Path(row["path"]).name for row in read_csv(tmp_path / "run" / "unreadable.csv")}
    assert left_out == {"broken.png", "small.png"}


def test_training_on_copies_and_training_with_the_protocol_give_the_same_bits(
    tmp_path: Path,
) -> None:
    for split, seed in (("train/cat", 1), ("train/dog", 2), ("val", 3), ("test", 4)):
        save_set(tmp_path / split, 6, 6, seed=seed)
    settings = [one for one in tiny(tmp_path) if "test_set" not in one]
    settings += ["test_sets={mine: PLACE}".replace("PLACE", str(tmp_path / "test"))]
    out = tmp_path / "out"
    harmonize = ["task=harmonize", f"task.output={out}", f"protocol={PROTOCOL}"]
    run_task(*settings, *harmonize, folder=tmp_path / "copies")
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["mine", "train", "val"]
    expected = run_task(*settings, f"protocol={PROTOCOL}", folder=tmp_path / "a")
    paths = [f"data.train={out}/train", f"data.val={out}/val", f"test_sets={{mine: {out}/mine}}"]
    folder = run_task(*settings, *paths, folder=tmp_path / "b")
    states = [torch.load(run / "best.ckpt", weights_only=True) for run in (expected, folder)]
    for key, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][key]), key
    assert list(read_logits(folder).values()) == list(read_logits(expected).values())


def test_protocol_is_chosen_from_the_data_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty_sets.jpeg_quality(tmp_path / "set", count=4)
    Image.fromarray(make_noise(90, 150, 0)).save(tmp_path / "set/1_fake/long.png")
    settings = [f"paths.datasets={tmp_path}/data", "task.output=null"]
    copy(tmp_path / "set", tmp_path, *settings)
    printed = capsys.readouterr().out
    assert "protocol=fit_90+jpeg_75\n" in printed
    assert "fit_90: no more than 1% of the fake images of mine have a shorter side" in printed
    target = tmp_path / "data" / "harmonized" / "fit_90+jpeg_75"
    assert "python run.py task=audit 'test_sets={mine: " in printed
    probes, _, names = probes_of(target / "mine")
    assert len(names) == 9
    assert set(probes["width"].to_pylist()) == set(probes["height"].to_pylist()) == {90}


@pytest.fixture(scope="module")
def harmonized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of copies of sets with one fault each, made by one command."""
    folder = tmp_path_factory.mktemp("faults")
    places = []
    for fault, save in faulty_sets.FAULTS.items():
        name = fault.replace(" ", "_")
        save(folder / name, seed=1)
        places.append(f"{name}: {folder / name}")
    settings = ["task=harmonize", f"test_sets={{{', '.join(places)}}}", "workers=0"]
    run_task(*settings, f"task.output={folder}/out", folder=folder / "run")
    return folder / "out"


@pytest.mark.parametrize(
    "fault",
    ["format", "size", "aspect", "jpeg_quality", "jpeg_tables", "subsampling", "metadata"],
)
def test_copies_are_alike_in_all_that_a_header_says(fault: str, harmonized: Path) -> None:
    probes, labels, _ = probes_of(harmonized / fault)
    assert labels.tolist().count(0) == labels.tolist().count(1) == faulty_sets.COUNT
    header = ["format", "mode", "width", "height", "jpeg_quality", "subsampling", "metadata"]
    assert len(probes.select(header).group_by(header).aggregate([])) == 1
    assert set(probes["metadata"].to_pylist()) == {""}


@pytest.mark.parametrize("fault", ["jpeg_quality", "jpeg_history", "grid_phase"])
def test_copies_hide_an_earlier_compression(fault: str, harmonized: Path) -> None:
    assert not decisive(harmonized / fault)


def test_copies_stay_as_blurred_as_their_sources(harmonized: Path) -> None:
    assert "sharpness" in decisive(harmonized / "sharpness")


def test_interrupted_copy_is_continued_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_set(tmp_path / "set" / "cat", 6, 6).parent
    whole = copy(source, tmp_path / "whole", "protocol=fit_24")
    encode, calls = copies.encode, []

    def interrupted(pixels: np.ndarray) -> bytes:
        calls.append(0)
        if len(calls) == 12 + 5:  # 12 are encoded to estimate the space
            raise ShutdownRequested(15)
        return encode(pixels)

    monkeypatch.setattr(copies, "encode", interrupted)
    with pytest.raises(ShutdownRequested):
        copy(source, tmp_path / "part", "protocol=fit_24")
    assert len(list((tmp_path / "part/out/mine").rglob("*.png"))) == 4
    monkeypatch.setattr(copies, "encode", encode)
    copy(source, tmp_path / "part", "protocol=fit_24")
    assert files_below(whole.parent) == files_below(tmp_path / "part/out")


def test_copy_of_odd_images(tmp_path: Path) -> None:
    reals, fakes = tmp_path / "set" / "0_real", tmp_path / "set" / "1_fake"
    fakes.mkdir(parents=True)
    save_image(reals / "größe 1.png", 0, fake=False)
    shutil.copy(reals / "größe 1.png", reals / "größe 1.jpg")  # two of one stem
    Image.new("L", (40, 50), 9).save(fakes / "grey.png")
    Image.new("RGBA", (50, 40), (200, 0, 9, 0)).save(fakes / "clear.png")
    Image.fromarray(np.full((40, 40), 40_000, np.uint16)).save(fakes / "deep.png")
    Image.new("RGB", (1, 1)).save(fakes / "one.png")
    Image.new("RGB", (9_000, 2)).save(fakes / "line.png")
    (fakes / "broken.png").write_bytes(b"no image")
    target = copy(tmp_path / "set", tmp_path, "protocol=fit_40")
    copied = files_below(target)
    assert list(copied) == [
        *("0_real/größe 1.png", "0_real/größe 1_2.png"),
        *("1_fake/clear.png", "1_fake/deep.png", "1_fake/grey.png"),
    ]
    values = {"clear": (200, 0, 9), "deep": (156,) * 3, "grey": (9, 9, 9)}
    for name, value in values.items():
        with Image.open(target / "1_fake" / f"{name}.png") as image:
            assert (image.size, image.mode) == ((40, 40), "RGB")
            assert image.getpixel((20, 20)) == value
    rows = read_csv(tmp_path / "run" / "unreadable.csv")
    reasons = {Path(row["path"]).stem: row["reason"] for row in rows}
    assert reasons.keys() == {"broken", "line", "one"}
    assert reasons["one"] == "protocol: 1 × 1 pixels: smaller than fit_40"
    with pytest.raises(GenspotError, match=r"^3 images could not be read"):
        copy(tmp_path / "set", tmp_path, "protocol=fit_40", "max_unreadable=2")


def test_copy_of_reals_alone_and_of_a_zip_file(tmp_path: Path) -> None:
    save_set(tmp_path / "set", 3, 0)
    (tmp_path / "set" / "1_fake").rmdir()
    assert list(files_below(copy(tmp_path / "set", tmp_path, "protocol=fit_40"))) == [
        f"0_real/00{number}.png" for number in range(3)
    ]
    source = save_set(tmp_path / "two" / "cat", 2, 2).parent
    members = {path: content for path, content in files_below(source).items()}
    inside = copy(write_zip(tmp_path / "a.zip", members), tmp_path / "b", "protocol=fit_30")
    outside = copy(source, tmp_path / "c", "protocol=fit_30")
    assert files_below(inside) == files_below(outside)


@pytest.mark.parametrize("name", ["train", "VAL"])
def test_test_set_with_the_name_of_a_split_is_refused(
    name: str, sets: Path, tmp_path: Path
) -> None:
    settings = [one for one in tiny(sets) if "test_set" not in one]
    settings += ["task=harmonize", f"test_sets={{{name}: {sets}/test}}"]
    with pytest.raises(GenspotError, match=r"would have one folder: give the test set another"):
        run_task(*settings, f"task.output={tmp_path}/out", folder=tmp_path / "run")


def test_copy_into_a_folder_of_other_files_is_refused(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("a text")
    before = files_below(tmp_path / "out")
    with pytest.raises(GenspotError, match="holds something else than copies"):
        copy(sets / "test", tmp_path)
    assert files_below(tmp_path / "out") == before


def test_nothing_chosen_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match=r"^nothing is chosen.+\Z"):
        run_task("task=harmonize", "generator=[]", folder=tmp_path / "run")
