"""protocol=: what is done to every image, in trainings, tests, predictions and from Python."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from genspot.common.errors import GenspotError
from helpers.containers import write_zip
from helpers.images import save_image, save_set
from helpers.runs import read_csv, read_logits, read_metrics
from helpers.settings import SEARCH_PATH, tiny
from helpers.tasks import run_task

PROTOCOL = "fit_36+jpeg_40"


@pytest.fixture(scope="module")
def changed(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training under `PROTOCOL`."""
    folder = tmp_path_factory.mktemp("changed") / "run"
    return run_task(*tiny(sets), f"protocol={PROTOCOL}", folder=folder)


def settings_of(checkpoint: Path, images: Path, *more: str) -> list[str]:
    settings = ["task=test", f"checkpoint={checkpoint}", "generator=folder", "workers=0"]
    return [*settings, f"test_set.path={images}", "test_set.name=mine", SEARCH_PATH, *more]


def test_training_records_its_protocol_and_leaves_out_what_it_refuses(
    changed: Path, trained: Path
) -> None:
    metrics = read_metrics(changed)
    assert metrics["protocol"] == metrics["trained_on"]["protocol"] == PROTOCOL
    assert read_metrics(trained)["protocol"] == "none"
    assert "protocol" not in read_metrics(trained)["trained_on"]
    content = torch.load(changed / "best.ckpt", weights_only=True)
    assert content["genspot"]["protocol"] == PROTOCOL
    small = [row for row in read_csv(changed / "unreadable.csv") if "small.png" in row["path"]]
    assert small[0]["reason"] == "protocol: 31 × 20 pixels: smaller than fit_36"
    page = (changed / "report.html").read_text(encoding="utf-8")
    assert f"protocol={PROTOCOL}: every image was changed like this" in page
    assert f"before {PROTOCOL}" in page
    assert "every image was changed" not in (trained / "report.html").read_text(encoding="utf-8")


def test_checkpoint_is_tested_with_its_own_protocol(
    changed: Path, sets: Path, tmp_path: Path
) -> None:
    folder = run_task(*settings_of(changed / "best.ckpt", sets / "test"), folder=tmp_path / "run")
    assert OmegaConf.load(folder / "config.yaml").protocol == PROTOCOL
    assert read_logits(folder) == read_logits(changed)
    assert read_metrics(folder)["fit"] == read_metrics(changed)["fit"]


def test_another_protocol_than_that_of_the_training_is_said(
    changed: Path, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(changed / "best.ckpt", sets / "test", "protocol=none")
    folder = run_task(*settings, folder=tmp_path / "run")
    assert read_metrics(folder)["protocol"] == "none"
    logits = read_logits(folder)
    assert len(logits) == len(read_logits(changed)) + 1  # with small.png
    assert all(logits[path] != logit for path, logit in read_logits(changed).items())
    # The threshold of the training was fitted on images of its protocol.
    assert read_metrics(folder)["fit"] is None
    said = f"The detector was trained with protocol={PROTOCOL} and tested with protocol=none."
    assert said in capsys.readouterr().out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert said in page and "protocol=none" in page


def test_validation_images_that_the_protocol_refuses_are_said_once(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    for number in range(4):
        save_image(tmp_path / "test" / "0_real" / f"{number}.png", number, False, (70, 80))
        save_image(tmp_path / "test" / "1_fake" / f"{number}.png", number, True, (70, 80))
    copy = tmp_path / "copy.ckpt"  # not best.ckpt, beside which a training leaves its scores
    copy.write_bytes((trained / "best.ckpt").read_bytes())
    data = "data=folder", f"data.val={sets}/val", "protocol=fit_64"
    folder = run_task(*settings_of(copy, tmp_path / "test", *data), folder=tmp_path / "run")
    metrics = read_metrics(folder)
    assert metrics["fit"] is None and metrics["generators"]["mine"]["images"] == 8
    (note,) = [one for one in metrics["notes"] if "threshold" in one]
    assert note.endswith(" cannot be used (protocol: 40 × 40 pixels: smaller than fit_64).")
    unreadable = [Path(row["path"]).name for row in read_csv(folder / "unreadable.csv")]
    assert metrics["unreadable_in_training"] == len(unreadable) <= 1  # what is no image


def test_protocol_of_images_within_a_container(changed: Path, sets: Path, tmp_path: Path) -> None:
    members = {
        path.relative_to(sets / "test").as_posix(): path.read_bytes()
        for path in (sets / "test").rglob("*.png")
    }
    place = write_zip(tmp_path / "test.zip", members)
    folder = run_task(*settings_of(changed / "best.ckpt", place), folder=tmp_path / "run")
    logits = {path.removeprefix(f"{place}/"): logit for path, logit in read_logits(folder).items()}
    expected = {
        path.removeprefix(f"{sets}/test/"): logit for path, logit in read_logits(changed).items()
    }
    assert logits == expected


def test_prediction_has_the_protocol_of_the_checkpoint(
    changed: Path, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = read_logits(changed)
    settings = ["task=predict", f"checkpoint={changed}/best.ckpt", "workers=0", SEARCH_PATH]
    folder = run_task(*settings, f"inputs={sets}/test", folder=tmp_path / "run")
    rows = read_csv(folder / "predictions.csv")
    assert {row["path"]: float(row["logit"]) for row in rows} == pytest.approx(expected, abs=1e-6)
    assert f"protocol={PROTOCOL}" in capsys.readouterr().out


@pytest.mark.parametrize("now", ["protocol=none", "protocol=fit_36"])
def test_resumed_training_notices_another_protocol(
    now: str, changed: Path, sets: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(changed, tmp_path / "run"))
    for name in ("metrics.json", "report.html", "scores.parquet"):
        (folder / name).unlink()
    with pytest.raises(GenspotError, match=rf"protocol={PROTOCOL.replace('+', '.')}, now"):
        run_task(*tiny(sets), now, folder=folder)


def test_training_on_packed_images_has_the_same_protocol(
    changed: Path, sets: Path, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        shutil.copytree(sets / split, tmp_path / split)
    run_task("task=pack", *tiny(tmp_path), folder=tmp_path / "pack")
    settings = [*tiny(tmp_path), "data.format=packed", f"protocol={PROTOCOL}"]
    folder = run_task(*settings, folder=tmp_path / "run")
    states = [torch.load(run / "best.ckpt", weights_only=True) for run in (changed, folder)]
    for key, value in states[0]["state_dict"].items():
        assert torch.equal(value, states[1]["state_dict"][key]), key


def test_wrong_protocol_ends_in_one_line_before_anything_is_read(tmp_path: Path) -> None:
    save_set(tmp_path / "train", 1, 1)
    with pytest.raises(GenspotError, match=r"^protocol=noise_3: write blur_SIGMA, .+\Z"):
        run_task(*tiny(tmp_path), "protocol=noise_3", folder=tmp_path / "run")
