"""checkpoint=embedded: the file that ships, and in miniature the command that makes such a one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from PIL import Image
from safetensors import safe_open

import genspot
from genspot.common.errors import GenspotError
from genspot.common.files import sha256_of
from genspot.data.simulated import random_train
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.embedded_file import FOLDER, embedded_detector
from genspot.detector.network import build_network
from genspot.evaluation.references import beside, read_reference
from helpers.arrays import make_photo
from helpers.settings import ROOT
from helpers.tasks import run_task

MAX_BYTES = 3 * 2**20
LOGITS = {1: 2.0772, 2: 2.0656}  # of two drawn photos


@pytest.fixture
def quick_simulators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let simulators be trained in this process, of tiny images, whatever becomes of them."""
    monkeypatch.setattr(random_train, "default_workers", lambda: 1)
    for name, value in {"SIDE": 16, "BATCH": 1, "MIN_PSNR_OF_FEW": -1e9, "CHECKED": 1}.items():
        monkeypatch.setattr(random_train, name, value)


@pytest.mark.usefixtures("quick_simulators")
def test_the_command_in_miniature_leaves_a_file_that_scores_photos(tmp_path: Path) -> None:
    run = run_task(
        "experiments=embedded",
        "generator=[random_simulators,sim_nearest]",
        "data.hold_out=[sim_nearest]",
        *("simulation.size=72", "simulation.train=8", "simulation.val=4", "simulation.test=4"),
        *("random_simulators.count=2", "random_simulators.steps=1"),
        *("model.backbone.width=4", "model.train.crop=64", "model.test.crop=72"),
        *("schedule.batch_size=4", "schedule.max_epochs=1", "workers=0"),
        f"paths.datasets={tmp_path}/datasets",
        folder=tmp_path / "embedded",
    )
    figures = json.loads((run / "metrics.json").read_text())
    assert set(figures["generators"]) == {"random_simulators", "sim_nearest"}
    exported = run_task(
        "task=export",
        "format=[safetensors]",
        f"checkpoint={run}/best.ckpt",
        folder=tmp_path / "exported",
    )
    photo = tmp_path / "photo.png"
    Image.fromarray(make_photo(90, 80, 1)).save(photo)
    logits = []
    for file in (run / "best.ckpt", exported / "detector.safetensors"):
        logits += genspot.load_detector(file).predict([photo]).logits.tolist()
    assert logits[0] == logits[1] and np.isfinite(logits[0])


def test_file_that_ships_is_small_and_says_how_it_was_trained() -> None:
    path = embedded_detector()
    assert path.stat().st_size <= MAX_BYTES
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["genspot"])
    # Without the study: a test of it would build the study's sets.
    assert (about["study"], about["data"], about["aug"]) == (None, "sets", "deliveries")
    assert about["model"]["name"] == "pixels_and_spectrum" and about["seed"] == 0
    checkpoint = load_checkpoint(path)
    assert str(ROOT) not in json.dumps(checkpoint.metadata.as_dict())


def test_reference_that_ships_is_of_the_file_and_names_no_photo() -> None:
    checkpoint = load_checkpoint(embedded_detector()).as_file()
    model = checkpoint.metadata.model
    facts = {"checkpoint": checkpoint.source, "model": model.as_dict(), "protocol": "none"}
    found = read_reference(beside(checkpoint.path), facts | {"crop": model.test.crop})
    kinds = {cell[0]: 0 for cell in found.cells}
    for cell, count in found.counts.items():
        kinds[cell[0]] += count
    assert set(kinds) == {"JPEG", "no traces of JPEG"} and min(kinds.values()) >= 99
    assert "/" not in json.dumps(found.about["inputs"])


def test_card_ships_beside_the_file() -> None:
    card, path = (FOLDER / "README.md").read_text(encoding="utf-8"), embedded_detector()
    assert "python run.py experiments=embedded" in card and "@@" not in card
    assert f"{path.stat().st_size:,} bytes" in card and sha256_of(path) in card
    count = sum(
        parameter.numel()
        for parameter in build_network(load_checkpoint(path).metadata.model).parameters()
    )
    assert f"{count:,} parameters" in card


def test_photo_gets_an_answer_without_a_checkpoint_being_named(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(make_photo(256, 256, 1)).save(photo)
    run = run_task(
        "task=predict",
        f"inputs={photo}",
        f"paths.weights={tmp_path}/none",
        folder=tmp_path / "run",
    )
    (row,) = pyarrow.csv.read_csv(run / "predictions.csv").to_pylist()
    assert row["detector"] == "embedded" and row["grade"]
    answers = json.loads((run / "predictions.json").read_text())
    assert answers["photos"][0]["detectors"][0]["detector"] == "embedded"


@pytest.mark.parametrize(
    "checkpoint", ["embedded", str(embedded_detector()), os.path.relpath(embedded_detector())]
)
def test_reference_that_ships_is_not_replaced(tmp_path: Path, checkpoint: str) -> None:
    Image.fromarray(make_photo(256, 256, 1)).save(tmp_path / "photo.png")
    before = beside(embedded_detector()).read_bytes()
    with pytest.raises(GenspotError, match="reference=FILE"):
        run_task(
            *("task=reference", f"checkpoint={checkpoint}", f"inputs={tmp_path}/photo.png"),
            folder=tmp_path / "run",
        )
    assert beside(embedded_detector()).read_bytes() == before


def test_file_of_that_name_in_the_working_directory_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("embedded").write_bytes(b"something else")
    assert genspot.load_detector("embedded").metadata.aug == "deliveries"
    with pytest.raises(GenspotError, match="text file"):
        genspot.load_detector("./embedded")


def test_sets_of_ones_own_are_tested_whole(tmp_path: Path) -> None:
    """The training's record ships too: so it is known that none of them was trained on."""
    for label in ("real", "fake"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(3):
            photo = Image.fromarray(make_photo(256, 256, number))
            photo.save(tmp_path / "mine" / label / f"{number}.png")
    run = run_task(
        *("task=test", "checkpoint=embedded", f"test_sets={{mine: {tmp_path}/mine}}"),
        folder=tmp_path / "run",
    )
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["generators"]["mine"]["images"] == 6
    assert not figures["generators"]["mine"].get("seen")


@pytest.mark.parametrize("seed", [1, 2])
def test_logits_of_the_file_that_ships(seed: int) -> None:
    """Golden values: another network, input or reading of it would move them."""
    found = genspot.load_detector("embedded").predict([make_photo(256, 256, seed)]).logits
    assert found[0] == pytest.approx(LOGITS[seed], abs=1e-3)


def test_missing_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genspot.detector.embedded_file.FOLDER", tmp_path)
    with pytest.raises(GenspotError, match=r"checkpoint=embedded: .* is missing; install"):
        genspot.load_detector("embedded")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["prior=0.1"], "ships without the scaling that a prior needs"),
        (["fpr=0.004"], "needs at least 249 reference photos of a kind .* has at most 172"),
        (["reference=none.parquet"], "task=reference checkpoint=PATH reference=FILE"),
    ],
)
def test_what_does_not_ship_is_one_line(tmp_path: Path, settings: list[str], message: str) -> None:
    Image.fromarray(make_photo(256, 256, 1)).save(tmp_path / "photo.png")
    chosen = ["task=predict", "checkpoint=embedded", f"inputs={tmp_path}/photo.png", *settings]
    with pytest.raises(GenspotError, match=message):
        run_task(*chosen, folder=tmp_path / "run")
