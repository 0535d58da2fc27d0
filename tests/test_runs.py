"""Whole runs from the command line, on tiny sets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from run import register_studies
from sklearn.metrics import average_precision_score
from torchvision import transforms

from conftest import ROOT, Run, save_image, save_set, tiny, with_model
from genspot.detector.backbones import resnet
from genspot.detector.checkpoint import IMAGENET
from wandb_files import begun, values


def scores(folder: Path) -> dict[str, float]:
    table = pq.read_table(folder / "scores.parquet")
    return dict(zip(table["path"].to_pylist(), table["logit"].to_pylist(), strict=True))


def test_a_run_leaves_everything_in_its_folder(trained: Path) -> None:
    left = {path.name for path in trained.iterdir()}
    wanted = {"config.yaml", "scores.parquet", "metrics.json", "report.html", "unreadable.csv"}
    assert wanted | {"best.ckpt", "last.ckpt", "genspot.log", "metrics.csv"} <= left
    assert not [name for name in left if name.endswith(".partial")]


def test_scores_are_one_row_an_image(trained: Path, sets: Path) -> None:
    table = pq.read_table(trained / "scores.parquet")
    assert table.column_names == ["path", "generator", "class", "label", "logit", "padded"]
    files = sorted(map(str, (sets / "test").rglob("*.png")))
    readable = [file for file in files if not file.endswith("broken.png")]
    assert sorted(table["path"].to_pylist()) == readable
    labels = ["1_fake" in path for path in table["path"].to_pylist()]
    assert table["label"].to_pylist() == labels


def test_metrics_follow_from_the_scores(trained: Path) -> None:
    table = pq.read_table(trained / "scores.parquet")
    mine = json.loads((trained / "metrics.json").read_text())["generators"]["mine"]
    expected = average_precision_score(table["label"].to_numpy(), table["logit"].to_numpy())
    assert mine["ap"] == pytest.approx(expected, abs=1e-6)
    assert (mine["images"], mine["real"], mine["fake"]) == (14, 8, 6)
    assert (mine["padded"], mine["unreadable"]) == (1, 1)


def test_unreadable_images_are_listed_with_their_reasons(trained: Path) -> None:
    broken, torn = csv.DictReader((trained / "unreadable.csv").open())
    assert broken["path"].endswith("broken.png")
    assert "UnidentifiedImageError" in broken["reason"]
    assert torn["path"].endswith("torn.png")
    assert "skipped: 1" in (trained.parent / "stdout.txt").read_text()


def test_terminal_and_report_show_the_figures_of_metrics_json(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    page = (trained / "report.html").read_text()
    printed = (trained.parent / "stdout.txt").read_text()
    for one in (metrics["generators"]["mine"], metrics["mean"]):
        for key in ("ap", "acc", "acc_real", "acc_fake", "auroc"):
            assert f"<td>{100 * one[key]:.1f}</td>" in page
            assert f"{100 * one[key]:.1f}" in printed
    for name in ("report.html", "scores.parquet", "best.ckpt"):
        assert name in printed


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_command_gives_the_same_bits(
    workers: int, run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    words = [*tiny(sets), f"workers={workers}", f"hydra.run.dir={tmp_path}/run"]
    assert run(*words, cwd=tmp_path).returncode == 0
    assert scores(tmp_path / "run") == scores(trained)
    states = [torch.load(folder / "last.ckpt") for folder in (tmp_path / "run", trained)]
    for one, other in zip(*(state["state_dict"].values() for state in states), strict=True):
        assert torch.equal(one, other)


def test_a_packed_store_gives_the_same_bits(
    run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    packed = run("task=pack", *tiny(sets), cwd=tmp_path)
    assert packed.returncode == 0, packed.stderr
    assert "34 of 34 images to pack" in packed.stdout
    again = run("task=pack", *tiny(sets), cwd=tmp_path)
    assert "0 of 34 images to pack" in again.stdout
    words = [*tiny(sets), "genspot.data.packed.reader=packed", "workers=2", f"hydra.run.dir={tmp_path}/run"]
    result = run(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert scores(tmp_path / "run") == scores(trained)
    listed = [(folder / "unreadable.csv").read_text() for folder in (tmp_path / "run", trained)]
    assert listed[0] == listed[1]
    states = [torch.load(folder / "last.ckpt") for folder in (tmp_path / "run", trained)]
    for one, other in zip(*(state["state_dict"].values() for state in states), strict=True):
        assert torch.equal(one, other)


def no_wandb(folder: Path) -> dict[str, str]:
    """No key of W&B's, no home to find one in, no server."""
    home = {"HOME": str(folder), "NETRC": f"{folder}/none"}
    return home | {"WANDB_API_KEY": "", "WANDB_BASE_URL": "http://127.0.0.1:9"}


def wandb_run(folder: Path) -> tuple[Any, dict[str, Any]]:
    """How the run in `folder` began offline, and the last of each value that it logged."""
    (own,) = (folder / "wandb").glob("offline-run-*")
    return begun(own), values(own, "summary")


def test_a_finished_run_is_not_run_again(run: Run, sets: Path, trained: Path) -> None:
    before = (trained / "best.ckpt").stat().st_mtime_ns
    result = run(*tiny(sets), "workers=0", f"hydra.run.dir={trained}", cwd=trained)
    assert result.returncode == 0
    assert "mine" in result.stdout
    assert (trained / "best.ckpt").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_sweep_runs_each_job_in_a_folder_of_its_own(
    run: Run, sets: Path, tmp_path: Path
) -> None:
    words = [*tiny(sets), "workers=0", "schedule.max_epochs=1", "trainer=ddp_cpu"]
    words += ["aug=none,blur_jpg_0.1", f"hydra.sweep.dir={tmp_path}/sweep", "-m"]
    result = run(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    folders = sorted(path.parent for path in (tmp_path / "sweep").rglob("metrics.json"))
    assert [folder.name for folder in folders] == [
        "0_folder_none_small",
        "1_folder_blur_jpg_0.1_small",
    ]
    trained_with = [
        json.loads((folder / "metrics.json").read_text())["trained_on"]["aug"]
        for folder in folders
    ]
    assert trained_with == ["none", "blur_jpg_0.1"]


def test_what_a_test_keeps_describes_the_checkpoint(
    run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    words = ["task=test", f"checkpoint={trained}/best.ckpt", "generator=folder", "workers=0"]
    words += [f"folder={sets}/test", "degrade=jpeg_75", "seed=5", "logger=wandb"]
    result = run(*words, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path, **no_wandb(tmp_path))
    assert result.returncode == 0, result.stderr
    began, logged = wandb_run(tmp_path / "run")
    name = "folder_blur_jpg_0.5_small_seed0_crop32_degrade_jpeg_75"
    assert (began.job_type, began.display_name) == ("test", name)
    assert list(began.tags) == ["test", "folder", "blur_jpg_0.5", "small"]
    asked = {item.key: json.loads(item.value_json) for item in began.config.update}
    assert (asked["task"], asked["degrade"], asked["crop"]) == ("test", "jpeg_75", 32)
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())["generators"]["folder"]
    assert logged["ap/folder"] == figures["ap"]
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "small" in config
    assert "resnet50" not in config
    assert "crop: 32" in config
    assert "middle 32 × 32 pixels" in result.stdout


def test_a_model_of_ones_own_without_weights_trains_and_is_tested(
    run: Run, sets: Path, tmp_path: Path
) -> None:
    network = "{_target_: torch.nn.Sequential, _args_: [{_target_: torch.nn.Flatten}"
    network += ", {_target_: torch.nn.Linear, in_features: 3072, out_features: 1}]}"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "line.yaml").write_text(f"name: line\nnetwork: {network}\n")
    words = [*with_model(tiny(sets), "line", tmp_path), "workers=0"]
    result = run(*words, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    # The checkpoint describes its network: the folder of its model need not be there.
    words = ["task=test", f"checkpoint={tmp_path}/run/best.ckpt", "generator=folder", "workers=0"]
    words += [f"folder={sets}/test", "logger=none", "name=mine", f"hydra.run.dir={tmp_path}/again"]
    result = run(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert scores(tmp_path / "again") == scores(tmp_path / "run")


def test_predict_scores_a_photo_and_a_folder(
    run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    words = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0"]
    photo = sets / "test" / "1_fake" / "003.png"
    result = run(*words, f"inputs={photo}", f"hydra.run.dir={tmp_path}/one", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "not calibrated" in result.stdout
    (row,) = csv.DictReader((tmp_path / "one" / "predictions.csv").open())
    assert float(row["logit"]) == pytest.approx(scores(trained)[str(photo)], abs=1e-6)
    assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-float(row["logit"]))))
    run(*words, f"inputs={sets}/test", f"hydra.run.dir={tmp_path}/all", cwd=tmp_path)
    rows = list(csv.DictReader((tmp_path / "all" / "predictions.csv").open()))
    logits = [float(row["logit"]) for row in rows]
    assert len(rows) == 14
    assert logits == sorted(logits, reverse=True)
    (broken,) = csv.DictReader((tmp_path / "all" / "unreadable.csv").open())
    assert broken["path"].endswith("broken.png")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint in the published form, and a test set with images below and above 224."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    network = resnet("resnet50")
    network.fc.weight.data.mul_(
        0.01
    )  # logits of a usual size: 1e-5 is below float32's steps at 80
    torch.save(
        {"model": network.state_dict(), "optimizer": {}, "total_steps": 7}, folder / "blur.pth"
    )
    images = save_set(folder / "set", 0, 0)
    for number, size in enumerate([(256, 256), (255, 231), (200, 300), (100, 90)]):
        save_image(images / "0_real" / f"{number}.png", number, fake=False, size=size)
        save_image(images / "1_fake" / f"{number}.png", 9 + number, fake=True, size=size)
    return folder / "blur.pth", images


@pytest.mark.parametrize("crop", [224, None])
def test_a_published_checkpoint_scores_as_published(
    crop: int | None, published: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    """PIL, CenterCrop, ToTensor, Normalize, one image at a time: the published evaluation."""
    checkpoint, images = published
    words = ["task=test", f"checkpoint={checkpoint}", "generator=folder", f"folder={images}"]
    words += ["workers=0", f"hydra.run.dir={tmp_path}/run", *(["crop=none"] if not crop else [])]
    result = run(*words, "logger=wandb", cwd=tmp_path, **no_wandb(tmp_path))
    assert result.returncode == 0, result.stderr
    began, _ = wandb_run(tmp_path / "run")
    name = f"progan_20cls_unknown_resnet50_seedunknown_crop{crop or 'none'}_degrade_none"
    assert began.display_name == name
    network = resnet("resnet50")
    network.load_state_dict(torch.load(checkpoint)["model"])
    network.eval()
    steps = [transforms.ToTensor(), transforms.Normalize(IMAGENET["mean"], IMAGENET["std"])]
    prepare = transforms.Compose([transforms.CenterCrop(crop), *steps] if crop else steps)
    ours = scores(tmp_path / "run")
    assert len(ours) == 8
    logits, labels = [], []
    with torch.inference_mode():
        for path, logit in ours.items():
            expected = network(prepare(Image.open(path).convert("RGB"))[None]).item()
            assert logit == pytest.approx(expected, abs=1e-5)
            logits.append(expected)
            labels.append(int("1_fake" in path))
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())["generators"]["folder"]
    assert figures["ap"] == pytest.approx(average_precision_score(labels, logits), abs=1e-6)
    assert figures["padded"] == (4 if crop else 0)


def test_published_figures_stand_beside_the_generators(
    published: tuple[Path, Path], run: Run, tmp_path: Path
) -> None:
    checkpoint, images = published
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "seeingdark").symlink_to(images)
    words = ["task=test", f"checkpoint={checkpoint}", "aug=blur_jpg_0.1", "generator=[sitd]"]
    words += [f"paths.test={tmp_path}/test", "workers=0", f"hydra.run.dir={tmp_path}/run"]
    words += ["logger=none"]
    result = run(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    sitd = json.loads((tmp_path / "run" / "metrics.json").read_text())["generators"]["sitd"]
    assert sitd["published"] == {"ap": 0.972, "acc": 0.903, "unconfirmed": False}
    assert "sitd is incomplete: 8 of 360" in result.stdout
    assert "97.2 (90.3)" in result.stdout


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="none"),
        pytest.param("rejected", id="malformed"),
        pytest.param(40 * "a", id="no server", marks=pytest.mark.slow),
    ],
)
def test_wandb_never_stops_a_run(key: str, run: Run, sets: Path, tmp_path: Path) -> None:
    words = [*tiny(sets), "workers=0", "schedule.max_epochs=1", "logger=wandb"]
    nobody = no_wandb(tmp_path) | {"WANDB_API_KEY": key}
    result = run(*words, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path, **nobody)
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "run").rglob("*.wandb"))
    assert "wandb sync" in (tmp_path / "run" / "genspot.log").read_text()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released folders with one or two tiny images in each, ProGAN's 20 classes and all."""
    folder = tmp_path_factory.mktemp("release")
    register_studies()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", ["data=progan_20cls", f"paths.test={folder}/test"])
    for number, name in enumerate(cfg.data.classes):
        for split in ("train", "val"):
            save_set(folder / split / name, 1, 1, seed=number)
    for number, spec in enumerate(cfg.generator.values()):
        for name in spec.classes or [""]:
            save_set(Path(spec.folder) / name, 1, 1, seed=50 + number)
    return folder


def test_the_published_experiment_runs_from_its_command(
    release: Path, run: Run, tmp_path: Path
) -> None:
    words = ["data=progan_20cls", "aug=blur_jpg_0.5", "model.weights=null", "workers=0"]
    words += [f"paths.{split}={release}/{split}" for split in ("train", "val", "test")]
    # Small and short, but the schedule, the model and the generators are the published ones.
    words += ["preprocess.resize=40", "preprocess.crop=32", "crop=224", "schedule.max_epochs=1"]
    words += ["schedule.batch_size=20", "bootstrap.replicates=10", "logger=none", "trainer=cpu"]
    result = run(*words, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["generators"]) == 13
    assert metrics["generators"]["progan"]["images"] == 40
    assert metrics["generators"]["cyclegan"]["images"] == 12
    assert metrics["generators"]["imle"]["published"]["ap"] == 0.995
    assert metrics["mean"]["published"]["ap"] == pytest.approx(0.908, abs=0.01)
    assert "progan is incomplete: 40 of 8000" in result.stdout


def test_the_embedded_data_set_runs_and_its_checkpoint_knows_its_generators(
    run: Run, tmp_path: Path
) -> None:
    small = ["simulation.size=64", "simulation.train=24", "simulation.val=8", "simulation.test=6"]
    small += [f"paths.datasets={tmp_path}/datasets", "workers=0", "preprocess.crop=32"]
    words = ["experiments=quickstart", "schedule.max_epochs=1", "crop=64", *small]
    result = run(*words, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["generators"]) == 7
    assert {one["images"] for one in metrics["generators"].values()} == {12}
    assert all(one["trivial_ap"] is not None for one in metrics["generators"].values())
    words = ["task=test", f"checkpoint={tmp_path}/run/best.ckpt", "crop=64", *small[:-1]]
    words += ["logger=none"]
    result = run(*words, f"hydra.run.dir={tmp_path}/again", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert scores(tmp_path / "again") == scores(tmp_path / "run")
