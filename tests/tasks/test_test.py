"""Tests of checkpoints: as trained, as published, degraded, and what they record."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from sklearn.metrics import average_precision_score
from torchvision import transforms

import genspot
from genspot.common.errors import GenspotError
from genspot.detector.backbones.resnet import resnet
from genspot.detector.metadata import IMAGENET
from genspot.report.gallery import SIDE
from helpers.images import save_image, save_set
from helpers.runs import read_logits, read_metrics
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task


def settings_of(checkpoint: Path, images: Path, *more: str) -> list[str]:
    settings = ["task=test", f"checkpoint={checkpoint}", "generator=folder", "workers=0"]
    settings += [f"test_set.path={images}", "test_set.name=mine"]
    return [*settings, SEARCH_PATH, *more]


def test_test_equals_the_test_of_the_training_and_records_its_settings(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = settings_of(trained / "best.ckpt", sets / "test", "seed=5")
    folder = run_task(*settings, folder=tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    assert config.model.name == "small"
    assert (config.aug.name, config.crop, config.data.name) == ("blur_jpg_0.5", 32, "folder")
    assert read_metrics(folder)["trained_on"] == read_metrics(trained)["trained_on"]
    assert read_metrics(folder)["fit"] == read_metrics(trained)["fit"]
    assert read_logits(folder) == read_logits(trained)


def test_test_names_the_generator_of_the_training_and_not_that_of_the_configuration(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    for name in ("best.ckpt", "config.yaml"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    config = OmegaConf.load(tmp_path / "config.yaml")
    config.data.generator = "sim_deconv3"
    OmegaConf.save(config, tmp_path / "config.yaml")
    settings = settings_of(tmp_path / "best.ckpt", sets / "test", "data=simulated")
    folder = run_task(*settings, folder=tmp_path / "run")
    recorded = OmegaConf.load(folder / "config.yaml").data
    assert recorded == {"name": "folder", "generator": "sim_deconv3"}


def test_test_degrades_images_and_averages_spectra(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = settings_of(trained / "best.ckpt", sets / "test", "spectra=3")
    degraded = run_task(*settings, "degradations=jpeg_20+resize_2", folder=tmp_path / "run")
    assert read_metrics(degraded)["degradations"] == ["jpeg_20", "resize_2"]
    assert read_logits(degraded) != read_logits(trained)
    assert (degraded / "spectra" / "mine_fake.png").is_file()
    with Image.open(degraded / "ranking" / "mine.png") as sheet:
        assert sheet.size[1] == 2 * SIDE


def test_test_of_photographs_has_intervals_over_them(trained: Path, tmp_path: Path) -> None:
    for number in range(4):
        save_set(tmp_path / "set" / f"photo{number}", 3, 3, seed=number)
    settings = settings_of(trained / "best.ckpt", tmp_path / "set")
    folder = run_task(*settings, "+generator.folder.clusters=class", folder=tmp_path / "run")
    results = read_metrics(folder)
    figures = results["generators"]["mine"]
    assert results["clusters"] == {"mine": "class"} and figures["clusters"] == 4
    keys = ("confidence", "real_sets", "fit", "clusters")
    again = genspot.evaluate(folder, **{key: results[key] for key in keys})
    assert again["generators"]["mine"].items() <= figures.items()
    assert again["mean"].items() <= results["mean"].items()
    by_image = genspot.evaluate(folder, confidence=results["confidence"])
    assert by_image["mean"]["ap_interval"] != results["mean"]["ap_interval"]
    assert "photographs that the images come from (4 in a test set)" in (
        folder / "report.html"
    ).read_text(encoding="utf-8")


def test_test_scores_validation_images_that_are_here(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.ckpt"  # not best.ckpt, beside which a training leaves its scores
    copy.write_bytes((trained / "best.ckpt").read_bytes())
    settings = settings_of(copy, sets / "test", "data=folder", f"data.val={sets}/val")
    folder = run_task(*settings, folder=tmp_path / "run")
    assert read_metrics(folder)["fit"] == read_metrics(trained)["fit"]


def test_test_without_validation_images_of_all_classes_fits_nothing_and_says_so(
    published_checkpoint: Path, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "val" / "car").mkdir(parents=True)
    settings = [*settings_of(published_checkpoint, images), f"paths.val={tmp_path}/val"]
    folder = run_task(*settings, folder=tmp_path / "run")
    assert f"{tmp_path}/val lacks the class folders airplane, bicycle, bird, boat" in caplog.text
    assert "are fitted on the validation images of progan_20cls" in caplog.text
    assert not read_metrics(folder).get("fit")


def test_test_takes_links_and_nested_images_and_lists_what_is_left_out(
    trained: Path, tmp_path: Path
) -> None:
    folder = save_set(tmp_path / "set" / "cat", 2, 2)
    save_image(folder / "0_real" / "sub" / "nested.gif", 7, fake=False)
    save_image(tmp_path / "photo.jpg", 8, fake=False)
    (tmp_path / "photo.jpg").rename(folder / "1_fake" / "sample")
    (tmp_path / "set" / "dog").symlink_to(save_set(tmp_path / "store" / "dog", 1, 1))
    (folder / "0_real" / "notes.txt").write_text("no image")
    (tmp_path / "set" / "loop").symlink_to(".")
    (folder / "0_real" / "torn.png").write_bytes(b"")
    run = run_task(*settings_of(trained / "best.ckpt", tmp_path / "set"), folder=tmp_path / "run")
    figures = read_metrics(run)["generators"]["mine"]
    assert (figures["real"], figures["fake"]) == (4, 4)
    assert (figures["unreadable"], figures["left_out"]) == (3, 2)
    with (run / "unreadable.csv").open(newline="") as file:
        listed = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert listed.keys() == {"notes.txt", "loop", "torn.png"}
    assert all(row["reason"] and row["generator"] == "mine" for row in listed.values())


@pytest.mark.parametrize(("name", "names"), [("train", "training"), ("val", "validation")])
def test_test_on_the_images_of_the_training_says_so(
    name: str,
    names: str,
    trained: Path,
    sets: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = run_task(*settings_of(trained / "best.ckpt", sets / name), folder=tmp_path / "run")
    [note] = read_metrics(folder)["notes"]
    assert (
        note.startswith(f"The {names} and test sets share images: ") and f"{sets}/{name}/" in note
    )
    assert note in caplog.text and note in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test set with images below and above 224 pixels."""
    folder = save_set(tmp_path_factory.mktemp("images") / "set", 0, 0)
    for number, size in enumerate([(256, 256), (255, 231), (200, 300), (100, 90)]):
        save_image(folder / "0_real" / f"{number}.png", number, fake=False, size=size)
        save_image(folder / "1_fake" / f"{number}.png", 9 + number, fake=True, size=size)
    return folder


@pytest.mark.parametrize("crop", [224, None])
def test_test_of_a_published_checkpoint_equals_the_published_evaluation(
    crop: int | None, published_checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    """PIL, CenterCrop, ToTensor, Normalize, one image at a time."""
    settings = settings_of(published_checkpoint, images, *([] if crop else ["crop=none"]))
    folder = run_task(*settings, folder=tmp_path / "run")
    network = resnet("resnet50").eval()
    network.load_state_dict(torch.load(published_checkpoint, weights_only=True)["model"])
    steps = [transforms.ToTensor(), transforms.Normalize(IMAGENET["mean"], IMAGENET["std"])]
    prepare = transforms.Compose([transforms.CenterCrop(crop), *steps] if crop else steps)
    logits = read_logits(folder)
    assert len(logits) == 8
    with torch.inference_mode():
        expected = {
            path: network(prepare(Image.open(path).convert("RGB"))[None]).item() for path in logits
        }
    assert logits == pytest.approx(expected, abs=1e-5)
    labels = ["1_fake" in path for path in expected]
    ap = average_precision_score(labels, list(expected.values()))
    figures = read_metrics(folder)["generators"]["mine"]
    assert figures["ap"] == pytest.approx(ap, abs=1e-6)
    assert figures["padded"] == (4 if crop else 0)


def test_test_shows_published_figures_where_the_augmentation_is_given(
    published_checkpoint: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "seeingdark").symlink_to(images)
    settings = ["task=test", f"checkpoint={published_checkpoint}", "aug=blur_jpg_0.1"]
    settings += ["generator=[sitd]", f"paths.test={tmp_path}/test", "workers=0"]
    folder = run_task(*settings, folder=tmp_path / "run")
    sitd = read_metrics(folder)["generators"]["sitd"]
    assert sitd["published"] == {"ap": 0.972, "acc": 0.903, "unconfirmed": False}
    assert [one["row"] for one in sitd["baselines"]] == ["Blur+JPEG (0.1)"]
    printed = capsys.readouterr().out
    assert "sitd is incomplete: 8 of 360" in printed
    assert "Published beside: Wang et al., CVPR 2020: Blur+JPEG (0.1) (README of" in printed


def test_test_shows_all_baselines_that_match_those_of_the_users_folder_too(
    published_checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "seeingdark").symlink_to(images)
    (tmp_path / "baseline").mkdir()
    row = "{row: a, source: b, model: resnet50, data: progan_20cls, aug: null, crop: none, "
    file = tmp_path / "baseline" / "xy2026.yaml"
    head = "title: XY\nlink: https://example.org\n"
    file.write_text(f"{head}rows: [{row}ap: {{sitd: 12.5, san: 7}}}}]")
    settings = ["task=test", f"checkpoint={published_checkpoint}", "aug=blur_jpg_0.1", "crop=none"]
    settings += [f"hydra.searchpath=['file://{tmp_path}']", "workers=0"]
    settings += ["generator=[sitd]", f"paths.test={tmp_path}/test"]
    metrics = read_metrics(run_task(*settings, folder=tmp_path / "run"))
    sitd = metrics["generators"]["sitd"]
    assert [(one["name"], one["rerun"], one["ap"]) for one in sitd["baselines"]] == [
        ("graydove2025", True, pytest.approx(0.9981)),
        ("wang2020", False, pytest.approx(0.998)),
        ("xy2026", False, 0.125),
    ]
    assert sitd["published"] == {"ap": 0.998, "acc": 0.981, "unconfirmed": False}
    assert metrics["mean"]["published"] == sitd["published"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.test.crop=99", "trained with model.test.crop=32, not 99"),
        ("model=resnet18", "trained with model.name=small, not resnet18"),
        ("model.input.std=[1,1,1]", "trained with model.input.std"),
    ],
)
def test_test_with_another_model_is_refused(
    override: str, message: str, trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = settings_of(trained / "best.ckpt", sets / "test", override)
    with pytest.raises(GenspotError, match=f"{message}.*allow_mismatch=true"):
        run_task(*settings, folder=tmp_path / "run")


def test_test_with_allow_mismatch_changes_what_is_overridden_alone(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = settings_of(trained / "best.ckpt", sets / "test", "allow_mismatch=true")
    folder = run_task(*settings, "model.test.crop=24", folder=tmp_path / "run")
    metrics = read_metrics(folder)
    assert metrics["crop"] == 24
    assert metrics["fit"] is None  # the training's validation scores are of another crop
    assert metrics["trained_on"]["model"]["train"] == {"resize": None, "crop": 32}
    assert read_logits(folder) != read_logits(trained)
