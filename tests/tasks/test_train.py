"""Trainings: what they leave, that they repeat to the bit, and that studies' data sets run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.fft
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from genspot.common.errors import GenspotError
from helpers.images import save_image, save_set
from helpers.runs import assert_same_training, read_csv, read_logits, read_metrics
from helpers.settings import RESNET, TINY, tiny
from helpers.tasks import composed, run_task


def test_train_leaves_all_files_and_the_report_page_last(trained: Path) -> None:
    """Its presence marks a complete run; loggers write after it."""
    files = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    expected = {"config.yaml", "scores.parquet", "metrics.json", "report.html", "unreadable.csv"}
    assert expected | {"best.ckpt", "last.ckpt", "metrics.csv", "validation.parquet"} <= set(files)
    assert not [name for name in files if name.endswith(".partial")]
    results = [name for name in files if not name.endswith((".log", ".csv", ".lock"))]
    assert max(results, key=files.__getitem__) == "report.html"


def test_train_scores_each_readable_test_image_once(trained: Path, sets: Path) -> None:
    table, metrics = pq.read_table(trained / "scores.parquet"), read_metrics(trained)
    assert table.column_names == ["path", "generator", "class", "label", "logit", "padded"]
    paths, labels = table["path"].to_pylist(), table["label"].to_pylist()
    files = [str(path) for path in (sets / "test").rglob("*.png") if path.name != "broken.png"]
    assert sorted(paths) == sorted(files)
    assert labels == ["1_fake" in path for path in paths]
    figures = metrics["generators"]["mine"]
    ap = average_precision_score(labels, table["logit"].to_numpy())
    assert figures["ap"] == pytest.approx(ap, abs=1e-6)
    assert (figures["images"], figures["real"], figures["fake"]) == (14, 8, 6)
    assert (figures["padded"], figures["unreadable"]) == (1, 1)
    assert metrics["unreadable_in_training"] == 1
    labels = [path.parent.name for path in (sets / "train").rglob("*.png")]
    counts = {"real": labels.count("0_real"), "fake": labels.count("1_fake")}
    assert metrics["training_images"] == counts
    assert {"python", "torch", "numpy"} <= metrics["versions"].keys()
    unreadable = [Path(row["path"]).name for row in read_csv(trained / "unreadable.csv")]
    assert unreadable == ["broken.png", "torn.png"]


def test_train_repeats_to_the_bit_with_worker_processes(
    sets: Path, trained: Path, tmp_path: Path
) -> None:
    folder = run_task(*tiny(sets), "workers=2", folder=tmp_path / "run")
    assert_same_training(folder, trained)


def test_train_on_packed_images_gives_the_same_bits(
    sets: Path, trained: Path, tmp_path: Path
) -> None:
    run_task("task=pack", *tiny(sets), folder=tmp_path / "pack")
    settings = [*tiny(sets), "data.format=packed"]
    assert_same_training(run_task(*settings, folder=tmp_path / "run"), trained)


def test_train_fits_the_statistics_of_an_input_to_the_readable_training_images(
    sets: Path, tmp_path: Path
) -> None:
    """They are the centres of the images: not augmented, not flipped."""
    choice = ["model=fredect", "model.backbone.arch=resnet18", "model.name=small_fredect"]
    choice = [*RESNET, *choice, "schedule.max_epochs=1"]
    folder = run_task(*tiny(sets), *choice, folder=tmp_path / "run")
    state = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    values = []
    for path in (sets / "train").rglob("*.png"):
        with suppress(OSError):  # one is torn
            pixels = np.asarray(Image.open(path).convert("RGB"))[4:36, 4:36].astype(np.float64)
            amplitudes = np.abs(scipy.fft.dctn(pixels, axes=(0, 1), norm="ortho"))
            values.append(np.log(amplitudes + 1e-12).transpose(2, 0, 1))
    assert state["network.input.fitted"]
    found = state["network.input.mean"], state["network.input.std"]
    for tensor, expected in zip(found, (np.mean(values, 0), np.std(values, 0)), strict=True):
        # Not all: the rounding of float32 moves the logarithm of an amplitude near 0.
        assert np.quantile(np.abs(tensor.numpy() - expected), 0.9) < 1e-4


def test_train_in_a_complete_folder_trains_nothing(sets: Path, trained: Path) -> None:
    before = (trained / "best.ckpt").stat().st_mtime_ns
    run_task(*tiny(sets), folder=trained)
    assert (trained / "best.ckpt").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=two_logits"], r"model\.backbone returns shape \(2, 2\) for 2 images"),
        (["model=vision_transformer", "crop=none"], "whole images .crop=none. have any size"),
        (["model=vision_transformer", "model.train.crop=48"], "fails on images of 48 × 48"),
        (["trainer.precision=16-true"], r"precision=16-true: give auto, 32-true, bf16-mixed"),
        (["trainer.precision=bf16-true"], r"precision=bf16-true: give auto"),
        (
            [*RESNET, "model.train.crop=16", "trainer.precision=bf16-mixed"],
            r"gradient of layer4\.0\.conv1 in bfloat16 on a CPU",
        ),
        ([*RESNET, "model.backbone.weights=none.pth"], r"weights=none\.pth: no such file"),
        ([*RESNET, "model.backbone.name=timm"], "makes another model of model=resnet18"),
        (["model.input.std=[1e-46,1,1]"], r"model\.input\.std: 1e-46 is not finite"),
    ],
)
def test_train_refuses_a_model_before_it_reads_data(
    overrides: list[str], expected: str, tmp_path: Path
) -> None:
    for name in ("train", "val", "test"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    settings = [*tiny(tmp_path / "empty"), *overrides]
    with pytest.raises(GenspotError, match=expected) as error:
        run_task(*settings, folder=tmp_path / "run")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", ["train", "val", "test"])
def test_train_names_missing_data_before_missing_initial_weights(
    missing: str, tmp_path: Path
) -> None:
    for name in {"train", "val", "test"} - {missing}:
        (tmp_path / name).mkdir()
    settings = [*tiny(tmp_path), *RESNET, "model.backbone.weights=none.pth"]
    with pytest.raises(GenspotError, match=rf"no data for .*: no folder {tmp_path}/{missing}"):
        run_task(*settings, folder=tmp_path / "run")


@pytest.mark.parametrize("missing", ["path", "train", "val"])
def test_train_on_sets_names_missing_data_before_missing_initial_weights(
    missing: str, tmp_path: Path
) -> None:
    places = [f"++generator.sitd.{key}={tmp_path}/{key}" for key in ("path", "train", "val")]
    for name in {"path", "train", "val"} - {missing}:
        (tmp_path / name).mkdir()
    settings = [*TINY, "data=sets", "generator=[sitd]", *places, *RESNET]
    with pytest.raises(GenspotError, match=rf"no data for sitd: no folder {tmp_path}/{missing}"):
        run_task(*settings, "model.backbone.weights=none.pth", folder=tmp_path / "run")


def test_train_on_a_random_class_says_so(sets: Path, tmp_path: Path) -> None:
    settings = [*tiny(sets), "data.num_classes=1", "schedule.max_epochs=1"]
    metrics = read_metrics(run_task(*settings, folder=tmp_path / "run"))
    assert (metrics["trained_on"]["data"], metrics["trained_on"]["num_classes"]) == ("folder", 1)
    assert metrics["title"] == "best.ckpt, trained on folder, 1 random class"


def test_train_runs_the_published_experiment(tmp_path: Path) -> None:
    """Small and short, but schedule and generators are the published ones."""
    settings = ["data=progan_20cls", "aug=blur_jpg_0.5"]
    settings += ["model.backbone={arch: resnet18, weights: null}", "model.name=resnet50"]
    settings += [f"paths.{split}={tmp_path}/{split}" for split in ("train", "val", "test")]
    settings += ["model.train={resize: 40, crop: 32}", "schedule.max_epochs=1"]
    settings += ["schedule.batch_size=20", "trainer=cpu", "workers=0"]
    with composed(*settings, folder=tmp_path) as cfg:
        for number, name in enumerate(cfg.data.classes):
            for split in ("train", "val"):
                save_set(tmp_path / split / name, 1, 1, seed=number)
        for spec in cfg.generator.values():
            for number, name in enumerate(spec.classes or [""]):
                save_set(Path(spec.path) / name, 1, 1, seed=50 + number)
    metrics = read_metrics(run_task(*settings, folder=tmp_path / "run"))
    assert len(metrics["generators"]) == 13
    assert metrics["generators"]["progan"]["images"] == 40
    assert metrics["generators"]["cyclegan"]["images"] == 12
    # Another network, on crops of another size, is not compared under the name of the published.
    assert metrics["generators"]["imle"]["published"] is None
    assert metrics["mean"]["baselines"] == []
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "(20 real and 20 fake images), whose fakes are made by progan" in page
    assert "one it had seen in training, progan, the other 12 not." in page


def test_train_builds_the_embedded_data_and_its_checkpoint_knows_its_generators(
    tmp_path: Path,
) -> None:
    sizes = "simulation={size: 64, train: 24, val: 8, test: 6, seed: 0}"
    small = [sizes, f"paths.datasets={tmp_path}/datasets", "workers=0"]
    settings = ["experiments=quickstart", "schedule.max_epochs=1", *small]
    settings += ["model.train.crop=32", "model.test.crop=64"]
    trained = run_task(*settings, folder=tmp_path / "run")
    generators = read_metrics(trained)["generators"]
    assert [figures["images"] for figures in generators.values()] == [12] * 7
    assert all(figures["shortcut_baseline_ap"] for figures in generators.values())
    test = ["task=test", f"checkpoint={trained}/best.ckpt", *small]
    assert read_logits(run_task(*test, folder=tmp_path / "test")) == read_logits(trained)


@pytest.mark.parametrize("limit", ["max_steps=1", "limit_val_batches=0"])
def test_train_says_that_it_reached_no_validation(limit: str, sets: Path, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="the training ended before a validation"):
        run_task(*tiny(sets), f"+trainer.{limit}", folder=tmp_path / "run")


def test_train_on_autogan_builds_the_fakes_of_the_users_photos(sets: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number in range(12):
        save_image(photos / f"{number:02d}.png", number, fake=False)
    settings = [*TINY[1:], "data=autogan", "generator=[folder]", *tiny(sets)[-2:]]
    settings += ["autogan={width: 4, blocks: 1, side: 32, steps: 2}", "schedule.max_epochs=1"]
    settings += [f"paths.datasets={tmp_path}/sets", "simulation={size: 40, train: 11, val: 2}"]
    with pytest.raises(GenspotError, match=r"^data\.photos=.*missing: nothing is there$"):
        run_task(*settings, f"data.photos={tmp_path}/missing", folder=tmp_path / "run")
    metrics = read_metrics(run_task(*settings, f"data.photos={photos}", folder=tmp_path / "run"))
    assert metrics["trained_on"]["data"] == "autogan"
    built = tmp_path / "sets" / "simulated_40px_seed0" / "autogan"
    assert len(list((built / "train_11" / "1_fake").glob("*.png"))) == 11
    assert (built / "generator.safetensors").is_file()
