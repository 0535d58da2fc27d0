"""Sharing a detector at a stand-in for the Hub, and getting the same detector back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import genspot
from genspot.detector.checkpoint import load_checkpoint
from helpers.errors import error_of
from helpers.hub_server import HubServer, environment, hub_server, use
from helpers.runs import read_csv, read_logits
from helpers.settings import ROOT, SEARCH_PATH, tiny
from helpers.tasks import run_task

huggingface_hub = pytest.importorskip("huggingface_hub")

REPO = "jane/small_detector"


@pytest.fixture(scope="module")
def shareable(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny training whose model is built by its name."""
    model = ["model=small_cnn_laplacian", "model.test.crop=32", "model.train.crop=32"]
    return run_task(*tiny(sets), *model, folder=tmp_path_factory.mktemp("private place") / "run")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server() as server:
        use(server.url, tmp_path / "cache", monkeypatch)
        yield server


def share(checkpoint: Path, folder: Path, *more: str) -> Path:
    settings = ["task=share", f"checkpoint='{checkpoint}'", f"repo={REPO}", SEARCH_PATH]
    return run_task(*settings, *more, folder=folder)


def command(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new interpreter, whose client of the Hub reads `env`."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_shared_detector_that_comes_back_scores_equally_to_the_bit(
    shareable: Path, sets: Path, tmp_path: Path
) -> None:
    """By three commands, each of a process that knows the stand-in by its environment."""
    with hub_server() as server:
        env = environment(server.url, tmp_path / "cache")
        settings = ["task=share", f"checkpoint='{shareable}/best.ckpt'", f"repo={REPO}"]
        shared = command(*settings, "quiet=true", cwd=tmp_path, **env)
        assert shared.returncode == 0, shared.stderr
        commit = server.repositories[REPO].head
        assert f"checkpoint:  hub/{REPO}@{commit}\n" in shared.stdout
        images = f"inputs={sets / 'test'}"
        predict = ["task=predict", f"checkpoint=hub/{REPO}", images, "workers=0"]
        got = command(*predict, "hydra.run.dir=predicted", cwd=tmp_path, **env)
        assert got.returncode == 0, got.stderr
    expected = read_logits(shareable)
    rows = read_csv(tmp_path / "predicted" / "predictions.csv")
    found = {row["path"]: torch.tensor(float(row["logit"])).item() for row in rows}
    assert found == expected


def test_shared_file_alone_is_a_checkpoint_with_the_same_weights(
    shareable: Path, hub: HubServer, tmp_path: Path
) -> None:
    share(shareable / "best.ckpt", tmp_path / "run")
    (tmp_path / "alone").mkdir()
    file = tmp_path / "alone" / "any name"
    file.write_bytes(hub.repositories[REPO].files()["model.safetensors"])
    ours, theirs = load_checkpoint(shareable / "best.ckpt"), load_checkpoint(file)
    assert theirs.metadata == ours.metadata
    assert theirs.state.keys() == ours.state.keys()
    for key, value in ours.state.items():
        assert torch.equal(value, theirs.state[key]), key
    detector = genspot.load_detector(f"hub/{REPO}")
    assert detector.metadata == ours.metadata


def test_share_writes_weights_settings_and_a_card(
    shareable: Path, hub: HubServer, tmp_path: Path
) -> None:
    folder = share(shareable / "best.ckpt", tmp_path / "run", "task.licence=mit")
    files = hub.repositories[REPO].files()
    for name in ("model.safetensors", "config.json", "README.md"):
        assert files[name] == (folder / name).read_bytes()
    card = huggingface_hub.ModelCard(files["README.md"].decode())
    assert (card.data.license, card.data.model_name) == ("mit", "small_detector")
    metrics = json.loads((shareable / "metrics.json").read_text())
    (ap,) = (one for one in card.data.eval_results if one.metric_type == "average_precision")
    assert ap.metric_value == pytest.approx(metrics["generators"]["mine"]["ap"], abs=1e-6)
    settings = json.loads(files["config.json"])
    assert settings["trained_on"] == metrics["trained_on"]
    assert settings["training"]["schedule"]["batch_size"] == 8
    assert settings["test"]["crop"] == 32
    assert "| batch size | 8 |" in card.text


def test_share_leaves_out_the_folders_of_this_machine(
    shareable: Path, hub: HubServer, tmp_path: Path
) -> None:
    share(shareable / "best.ckpt", tmp_path / "run")
    for name, content in hub.repositories[REPO].files().items():
        for private in (b"private place", os.fsencode(tmp_path.parent), os.fsencode(ROOT)):
            assert private not in content.replace(b"\\", b""), name


def test_share_keeps_the_results_of_a_test_that_is_named(
    shareable: Path, sets: Path, hub: HubServer, tmp_path: Path
) -> None:
    lone = tmp_path / "lone" / "best.ckpt"
    lone.parent.mkdir()
    shutil.copy(shareable / "best.ckpt", lone)
    settings = ["task=test", f"checkpoint={lone}", "generator=folder", "workers=0", "crop=24"]
    sets_named = [f"test_set.path={sets / 'test'}", "test_set.name=other"]
    tested = run_task(*settings, *sets_named, SEARCH_PATH, folder=tmp_path / "test")
    share(lone, tmp_path / "run", f"runs={tested}")
    files = hub.repositories[REPO].files()
    assert json.loads(files["config.json"])["test"]["crop"] == 24
    card = files["README.md"].decode()
    assert "| other |" in card and "| recipe | not recorded |" in card
    assert f"checkpoint=hub/{REPO} crop=24 inputs=" in card
    torch.save(torch.load(lone, weights_only=True) | {"epoch": 99}, lone)
    message = error_of(share, lone, tmp_path / "again", f"runs={tested}")
    assert f"the results in {tested} are of another checkpoint than {lone}" in message


@pytest.mark.parametrize("name", ["last.ckpt", "renamed.ckpt"])
def test_share_of_another_checkpoint_than_the_tested_one_is_refused(
    name: str, shareable: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shareable, tmp_path / "copy")
    (folder / "best.ckpt").rename(folder / name)
    message = error_of(share, folder / name, tmp_path / "run")
    assert message.startswith(f"the results in {folder} are of another checkpoint than {folder}/")
    assert "(best.ckpt); share that one, or name the folder of a test" in message


def test_share_of_a_checkpoint_that_was_put_in_the_place_of_the_tested_one_is_refused(
    shareable: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shareable, tmp_path / "copy")
    content = torch.load(folder / "best.ckpt", weights_only=True)
    content["genspot"]["seed"] = 77
    torch.save(content, folder / "best.ckpt")
    message = error_of(share, folder / "best.ckpt", tmp_path / "run")
    assert "(of another training)" in message


def test_share_of_a_moved_run_works(shareable: Path, hub: HubServer, tmp_path: Path) -> None:
    folder = shutil.copytree(shareable, tmp_path / "copy")
    share(folder / "best.ckpt", tmp_path / "run")
    assert REPO in hub.repositories


def test_share_without_results_is_an_error(shareable: Path, tmp_path: Path) -> None:
    lone = Path(shutil.copy(shareable / "best.ckpt", tmp_path))
    message = error_of(share, lone, tmp_path / "run")
    assert message.startswith(f"no results beside {lone} (metrics.json), from which the model")
    message = error_of(share, lone, tmp_path / "run", f"runs={tmp_path}")
    assert message.startswith(f"runs={tmp_path}: no results (metrics.json), from which the model")
    assert not (tmp_path / "run" / "README.md").exists()


def test_share_of_a_model_that_its_name_does_not_build_is_refused(
    trained: Path, tmp_path: Path
) -> None:
    message = error_of(share, trained / "best.ckpt", tmp_path / "run")
    assert "model=small is built by a config of your own (_target_)" in message


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["repo=null"], "repo=null: give repo=OWNER/NAME, of a model at Hugging Face"),
        (["repo=alone"], "repo=alone: give repo=OWNER/NAME, of a model at Hugging Face"),
        (["repo='a b/c'"], "repo=a b/c: Hugging Face refuses it: Repo id must"),
        (["runs=[a,b]"], "task=share makes the card of one run: runs=FOLDER"),
    ],
)
def test_share_with_a_wrong_setting_is_an_error(
    settings: list[str], expected: str, shareable: Path, tmp_path: Path
) -> None:
    message = error_of(share, shareable / "best.ckpt", tmp_path / "run", *settings)
    assert message.startswith(expected)


def test_share_without_a_token_leaves_the_files(
    shareable: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub.url, tmp_path / "other", monkeypatch, token="")
    message = error_of(share, shareable / "best.ckpt", tmp_path / "run")
    assert "to write there, Hugging Face wants a token" in message
    assert not hub.repositories
    with safe_open(tmp_path / "run" / "model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["genspot"])["model"]["name"] == "small_cnn_laplacian"
    assert (tmp_path / "run" / "README.md").read_text().startswith("---\nlibrary_name: genspot\n")
