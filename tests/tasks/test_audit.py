"""task=audit from the command line, on sets with one fault each."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from genspot.evaluation.shortcuts import ALL
from helpers import faulty_sets
from helpers.cli_runner import CliRunner

# What may be judged beside the trait that a fault is named after: the same change shows there.
TRAITS = {
    "format": "format",
    "size": "size",
    "aspect": "aspect",
    "jpeg quality": "compression",
    "jpeg tables": "compression",
    "subsampling": "subsampling",
    "metadata": "metadata",
    "colour": "colour",
    "sharpness": "sharpness",
    "grid phase": "grid phase",
    "jpeg history": "JPEG history",
}
CONTENT = {"colour", "sharpness", "file size"}


def run_audit(
    run: CliRunner, folder: Path, *overrides: str, **sets: Path
) -> CompletedProcess[str]:
    """Run the task with `sets` in the folder run/."""
    places = ", ".join(f"{name}: {path}" for name, path in sets.items())
    chosen = [f"test_sets={{{places}}}"] if sets else []
    command = ["task=audit", *chosen, "workers=0", f"hydra.run.dir={folder}/run"]
    return run(*command, *overrides, cwd=folder)


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def read_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run" / "audit.json").read_text(encoding="utf-8"))


def last_line(result: CompletedProcess[str]) -> str:
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def faults(run: CliRunner, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of an audit of sets with one fault each, and how it ended."""
    folder = tmp_path_factory.mktemp("faults")
    sets = {}
    for number, name in enumerate(("format", "jpeg history")):
        key = name.replace(" ", "_")
        sets[key] = folder / key
        faulty_sets.FAULTS[name](sets[key], seed=number)
    return folder, run_audit(run, folder, **sets)


@pytest.mark.parametrize("name", ["format", "jpeg history"])
def test_audit_names_the_fault_of_each_set_and_what_to_do(faults: tuple[Path, Any], name: str):
    folder, _ = faults
    key = name.replace(" ", "_")
    rows = {
        row["trait"]: row for row in read_csv(folder / "run" / "audit.csv") if row["set"] == key
    }
    assert rows.keys() == {*TRAITS.values(), "file size", ALL}
    assert rows[TRAITS[name]]["judgement"] == "decisive"
    assert rows[TRAITS[name]]["fix"]
    assert rows["metadata"]["judgement"] == "none"


def test_audit_ends_with_exit_code_3_and_one_line_after_all_results(faults: tuple[Path, Any]):
    folder, result = faults
    assert result.returncode == 3
    line = last_line(result)
    assert line.startswith("genspot: not fit to be trusted as they are: format")
    assert line.endswith("all results are written, and the exit code is 3")
    written = {file.name for file in (folder / "run").iterdir()}
    assert written >= {"audit.html", "audit.csv", "duplicates.csv", "audit.json", "config.yaml"}


def test_audit_prints_a_line_for_each_set_and_the_files(faults: tuple[Path, Any]):
    folder, result = faults
    lines = result.stdout.splitlines()
    assert lines[0] == "Audit of format and jpeg_history"
    assert "format\t60\t60\tdecisive" in lines
    assert any(line.startswith("format: Real and fake are told apart by format") for line in lines)
    assert lines[-4].split() == ["page:", f"{folder}/run/audit.html"]


@pytest.mark.slow
@pytest.mark.parametrize("name", faulty_sets.FAULTS)
def test_audit_of_one_fault_alone_finds_it(run: CliRunner, tmp_path: Path, name: str):
    faulty_sets.FAULTS[name](tmp_path / "set")
    result = run_audit(run, tmp_path, mine=tmp_path / "set")
    rows = {row["trait"]: row for row in read_csv(tmp_path / "run" / "audit.csv")}
    assert rows[TRAITS[name]]["judgement"] == "decisive"
    (found,) = read_json(tmp_path)["sets"]
    # A generator itself may change colour and sharpness.
    assert found["judgement"] == ("slight" if TRAITS[name] in CONTENT else "decisive")
    assert result.returncode == (0 if TRAITS[name] in CONTENT else 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", faulty_sets.CLEAN)
def test_audit_of_a_clean_set_alone_finds_nothing(run: CliRunner, tmp_path: Path, name: str):
    faulty_sets.CLEAN[name](tmp_path / "set")
    result = run_audit(run, tmp_path, mine=tmp_path / "set")
    assert result.returncode == 0
    (found,) = read_json(tmp_path)["sets"]
    assert found["judgement"] == "none"


@pytest.fixture(scope="module")
def copies(run: CliRunner, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of an audit of sets with copies, and (set → pairs of names) that were made."""
    folder = tmp_path_factory.mktemp("copies")
    made, sets = {}, {}
    for number, (name, write) in enumerate(faulty_sets.COPIES.items()):
        if name == "across splits":
            continue
        key = name.replace(" ", "_")
        sets[key] = folder / key
        pairs = write(sets[key], seed=number, count=5)
        made[name] = {tuple(f"{folder}/{key}/{path}" for path in pair) for pair in pairs}
    result = run_audit(run, folder, **sets)
    assert result.returncode in (0, 3), result.stderr
    return folder, made


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("duplicates", "equal files"),
        ("equal pixels", "equal pixels"),
        ("recompressed", "other compression"),
        ("near duplicates", "near duplicates"),
    ],
)
def test_audit_finds_copies_within_a_set(copies: tuple[Path, Any], name: str, kind: str):
    folder, made = copies
    key = name.replace(" ", "_")
    rows = [
        row
        for row in read_csv(folder / "run" / "duplicates.csv")
        if row["set"] == row["other_set"] == key
    ]
    assert {frozenset((row["path"], row["other_path"])) for row in rows} == set(
        map(frozenset, made[name])
    )
    assert {row["kind"] for row in rows} == {kind}
    (found,) = (one for one in read_json(folder)["sets"] if one["name"] == key)
    assert any(one["judgement"] != "none" for one in found["overlaps"])


def test_audit_finds_test_images_in_the_training_set(run: CliRunner, tmp_path: Path):
    pairs = faulty_sets.across_splits(tmp_path, count=5)
    faulty_sets.clean_png(tmp_path / "val", seed=9, count=5)
    data = [f"data.train={tmp_path}/train", f"data.val={tmp_path}/val"]
    result = run_audit(run, tmp_path, "data=folder", *data, mine=tmp_path / "test")
    assert result.returncode == 3, result.stderr
    found = {(one["name"], one["split"]): one for one in read_json(tmp_path)["sets"]}
    assert found.keys() == {("mine", "test"), ("folder", "train"), ("folder", "val")}
    leak = found["mine", "test"]["overlaps"][0]
    assert leak["rule"] == "test images in the training set"
    assert (leak["equal"], leak["total"], leak["judgement"]) == (10, 20, "decisive")
    rows = [
        row
        for row in read_csv(tmp_path / "run" / "duplicates.csv")
        if {row["split"], row["other_split"]} == {"train", "test"}
    ]
    assert {frozenset((row["path"], row["other_path"])) for row in rows} == {
        frozenset(f"{tmp_path}/{path}" for path in pair) for pair in pairs
    }


def test_audit_of_a_zip_and_reals_alone_shows_their_pictures(run: CliRunner, tmp_path: Path):
    faulty_sets.file_format(tmp_path / "set", count=12)
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "set")
    faulty_sets.clean_png(tmp_path / "alone", seed=1, count=12)
    shutil.rmtree(tmp_path / "alone" / "1_fake")
    result = run_audit(run, tmp_path, packed=tmp_path / "packed.zip", alone=tmp_path / "alone")
    assert result.returncode == 3, result.stderr
    page = (tmp_path / "run" / "audit.html").read_text("utf-8")
    assert page.count("<img") >= 4
    assert "file not found" not in page
    packed, alone = read_json(tmp_path)["sets"]
    assert packed["judgement"] == "decisive"
    assert (alone["real"], alone["fake"], alone["traits"]) == (12, 0, [])
    assert "no two classes to tell apart" in result.stdout


def test_audit_counts_and_names_unreadable_images(run: CliRunner, tmp_path: Path):
    folder = tmp_path / "set"
    faulty_sets.clean_png(folder, count=6)
    (folder / "0_real" / "broken.png").write_bytes(b"no image")
    (folder / "0_real" / "notes.docx").write_bytes(b"text")
    result = run_audit(run, tmp_path, "max_unreadable=0", mine=folder)
    assert result.returncode == 1
    assert "more than max_unreadable=0" in result.stderr
    (found,) = read_json(tmp_path)["sets"]
    rows = read_csv(tmp_path / "run" / "unreadable.csv")
    assert {Path(row["path"]).name for row in rows} >= {"broken.png"}
    assert found["unreadable"] == len(rows)


def test_audit_repeats_into_its_own_folder_and_refuses_other_sets(run: CliRunner, tmp_path: Path):
    faulty_sets.clean_png(tmp_path / "a", seed=1, count=6)
    faulty_sets.clean_png(tmp_path / "b", seed=2, count=6)
    first = run_audit(run, tmp_path, mine=tmp_path / "a")
    assert first.returncode == 0, first.stderr
    assert read_json(tmp_path)["judgement"] == "not judged"  # too few images
    page = (tmp_path / "run" / "audit.html").read_bytes()
    again = run_audit(run, tmp_path, mine=tmp_path / "a")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "run" / "audit.html").read_bytes() == page
    other = run_audit(run, tmp_path, mine=tmp_path / "b")
    assert other.returncode == 1
    assert "holds an audit with other settings" in other.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["generator=[]"], "nothing is chosen"),
        (["test_sets={mine: nowhere}"], "nowhere"),
        (["protocol=jpeg_75", "test_sets={mine: nowhere}"], "task=harmonize"),
        (["data=progan_20cls", "data.format=packed", "generator=[]"], "format=files"),
    ],
)
def test_audit_of_what_it_cannot_read_ends_with_one_line(
    run: CliRunner, tmp_path: Path, overrides: list[str], message: str
):
    result = run_audit(run, tmp_path, *overrides)
    assert result.returncode == 1
    assert message in last_line(result)
