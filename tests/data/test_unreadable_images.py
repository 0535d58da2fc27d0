"""Odd and damaged files are scored, or listed with a reason; no run crashes or hangs on them."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from genspot.common.tables import csv_cell
from genspot.data.dataset import ImageDataset
from genspot.data.packed.reader import open_packed
from genspot.data.packed.writer import pack
from genspot.data.places import load_samples
from helpers.cli_runner import CliRunner
from helpers.images import save_set
from helpers.odd_images import (
    AS_PIL,
    DEEP_GREY,
    REFUSED,
    save_damaged_files,
    save_odd_files,
    save_special_files,
)
from helpers.settings import SEARCH_PATH, tiny

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
DAMAGED = 500
PROGRESS = re.compile(
    r"^(Testing|Predicting|Training|Validation|Epoch|Sanity|Looking for copies)\b.*"
)


@pytest.fixture(scope="module")
def odd_set(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test set of `trained`, with more than 500 odd files among its images."""
    folder = tmp_path_factory.mktemp("odd") / "test"
    for number, name in enumerate(("0_real", "1_fake")):
        (folder / name).mkdir(parents=True)
        for file in (sets / "test" / name).iterdir():
            (folder / name / file.name).write_bytes(file.read_bytes())
        save_damaged_files(folder / name, number, DAMAGED // 2)
    save_odd_files(folder / "0_real")
    return folder


def listed_names(folder: Path) -> list[str]:
    """Return the names of all files below `folder`, as the table of samples has them."""
    return sorted(
        os.fsencode(os.path.join(parent, name)).decode("utf-8", "backslashreplace")
        for parent, _, names in os.walk(folder)
        for name in names
    )


def run_quietly(run: CliRunner, *overrides: str, cwd: Path) -> Path:
    """Run with progress bars and lines on what is left out only; return the run's folder.

    A training also says that its few photos make no reference.
    """
    result = run(*overrides, f"hydra.run.dir={cwd}/run", cwd=cwd)
    assert result.returncode == 0, result.stderr
    lines = [line.strip() for line in re.split(r"[\r\n]|\x1b\[A", result.stderr)]
    others = [line for line in lines if line and not PROGRESS.match(line)]
    unreadable = [line for line in others if "are left out; unreadable.csv" in line]
    assert all("no reference for grades" in line for line in others if line not in unreadable)
    assert len(unreadable) <= 2  # training and validation
    assert len(others) - len(unreadable) <= 1
    return cwd / "run"


def logits(folder: Path) -> dict[str, float]:
    rows = pyarrow.parquet.read_table(folder / "scores.parquet").to_pylist()
    return {"/".join(Path(row["path"]).parts[-2:]): row["logit"] for row in rows}


def test_dataset_special_files_are_listed_with_a_reason(tmp_path: Path) -> None:
    for name in ("0_real", "1_fake"):
        (tmp_path / "set" / name).mkdir(parents=True)
    reasons = save_special_files(tmp_path / "set" / "0_real")
    table = load_samples(tmp_path / "set", "gan", None).table
    paths = table["path"].to_pylist()
    assert {Path(path).name for path in paths} == set(reasons)
    for row, path in enumerate(paths):
        sample = ImageDataset(table)[0, row]
        [(_, reason)] = sample["unreadable"]
        assert sample["image"] is None and reasons[Path(path).name] in reason
        assert len(reason.splitlines()) == 1


def test_test_scores_or_lists_every_odd_file(
    run: CliRunner, trained: Path, odd_set: Path, tmp_path: Path
) -> None:
    overrides = ["task=test", f"checkpoint={trained}/best.ckpt", "generator=folder", SEARCH_PATH]
    overrides += [f"test_set.path={odd_set}", "test_set.name=mine", "workers=2"]
    folder = run_quietly(run, *overrides, cwd=tmp_path)
    rows = pyarrow.parquet.read_table(folder / "scores.parquet")
    scored = rows["path"].to_pylist()
    with (folder / "unreadable.csv").open(newline="") as file:
        unreadable = list(csv.DictReader(file))
    listed = sorted(map(csv_cell, listed_names(odd_set)))
    assert sorted([*map(csv_cell, scored), *(row["path"] for row in unreadable)]) == listed
    assert all(len(row["reason"].strip().splitlines()) == 1 for row in unreadable)
    assert min(len(scored), len(unreadable)) > 100
    found, expected = logits(folder), logits(trained)
    assert len(expected) > 10
    for name, logit in expected.items():  # in other batches, sums may differ in their last bits
        assert found[name] == pytest.approx(logit, abs=1e-6)


def test_train_skips_and_lists_unreadable_files(
    run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    train = save_set(tmp_path / "train", 8, 8)
    save_special_files(train / "0_real")
    save_damaged_files(train / "1_fake", 7, 10)
    for kind in ("long and thin", "bomb", "CMYK JPEG", "16-bit PNG"):
        name, content = (AS_PIL | DEEP_GREY | REFUSED)[kind][:2]
        (train / "0_real" / f"{kind}{Path(name).suffix}").write_bytes(content)
    overrides = [*tiny(sets), "model.train.resize=256", "schedule.max_epochs=1"]
    overrides += [f"data.train={train}"]
    folder = run_quietly(run, *overrides, cwd=tmp_path)
    listed = (folder / "unreadable.csv").read_text()
    for name in ("long and thin", "bomb", "folder.png/within.txt", "pipe.jpg", r"caf\xe9"):
        assert name in listed
    assert "CMYK" not in listed and "16-bit" not in listed


def test_pack_of_odd_files_equals_the_files(odd_set: Path) -> None:
    pack(odd_set, "gan", None)
    listing, read = open_packed(odd_set, "gan", None)
    packed, files = (
        ImageDataset(listing.table, read=read),
        ImageDataset(load_samples(odd_set, "gan", None).table),
    )
    left_out = listing.skipped["path"].to_pylist()
    assert f"{odd_set}/0_real/folder.png/within.txt" in left_out
    paths = listing.table["path"].to_pylist()
    assert sorted([*paths, *left_out]) == listed_names(odd_set) and len(files) == len(packed)
    for row in range(len(files)):
        expected, found = files[0, row], packed[0, row]
        assert expected["unreadable"] == found["unreadable"]
        if expected["image"] is not None:
            np.testing.assert_array_equal(expected["image"], found["image"])
