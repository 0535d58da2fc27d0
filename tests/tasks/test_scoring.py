"""Scores as they come: stopped and continued, not finite, and unreadable."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import genspot
from genspot.common.errors import GenspotError
from genspot.data.dataset import ImageDataset
from genspot.detector.network import DetectorNetwork
from genspot.runtime.run_folder import can_continue
from helpers.cli_runner import CliRunner
from helpers.fault_injection import PYTHONPATH, signal_in_test
from helpers.images import save_image
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task

BATCHES_OF_4 = "schedule.eval_batch_size=4"


class Reads:
    """Counts the images that are read, and can raise at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        self.stop_at: int | None = None
        read = ImageDataset.__getitem__

        def read_and_count(dataset: ImageDataset, index: tuple[int, int]) -> Any:
            if index[1] == self.stop_at:
                raise KilledError
            self.rows.append(index[1])
            return read(dataset, index)

        monkeypatch.setattr(ImageDataset, "__getitem__", read_and_count)

    def stopped(self, *overrides: str, folder: Path, at: int) -> list[int]:
        """Run into `folder`, stop at an image, and return which images were read."""
        self.rows, self.stop_at = [], at
        with pytest.raises(KilledError):
            run_task(*overrides, folder=folder)
        self.stop_at = None
        return self.rows

    def of(self, *overrides: str, folder: Path) -> list[int]:
        """Run into `folder` to the end, and return which images were read."""
        self.rows = []
        run_task(*overrides, folder=folder)
        return self.rows


class KilledError(BaseException):
    """Stands for a kill."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def photos(sets: Path, tmp_path: Path) -> Path:
    """A copy of 15 images, of which the fourth is broken."""
    folder = Path(shutil.copytree(sets / "test", tmp_path / "photos"))
    (folder / "1_fake" / "broken.png").rename(folder / "0_real" / "002b.png")
    return folder


def predict(trained: Path, inputs: Path, *more: str) -> list[str]:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", f"inputs={inputs}"]
    return [*settings, SEARCH_PATH, "workers=0", "trainer=cpu", BATCHES_OF_4, *more]


def check_same_predictions(folder: Path, other: Path) -> None:
    for name in ("predictions.csv", "unreadable.csv"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    assert not list(folder.glob("*.jsonl"))


@pytest.mark.parametrize("at", [5, 8, 13])
def test_stopped_prediction_continues_to_the_same_bits(
    at: int, reads: Reads, trained: Path, photos: Path, tmp_path: Path
) -> None:
    settings = predict(trained, photos)
    run_task(*settings, folder=tmp_path / "whole")
    assert len(read_csv(tmp_path / "whole" / "unreadable.csv")) == 1
    first = reads.stopped(*settings, folder=tmp_path / "run", at=at)
    assert first == list(range(at))
    rest = reads.of(*settings, folder=tmp_path / "run")
    done = at // 4 * 4
    assert rest == [*range(done, 15), 3]  # what was unreadable may be readable now: tried last
    check_same_predictions(tmp_path / "run", tmp_path / "whole")


OTHER_SETTING = {"crop": "crop=24", "limit": "max_megapixels=9", "never": "resume=never"}


@pytest.mark.parametrize("change", ["photo", "list", "crop", "weights", "limit", "never"])
def test_stopped_prediction_takes_up_scores_of_the_same_images_alone(
    change: str,
    reads: Reads,
    trained: Path,
    photos: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    checkpoint = tmp_path / "training"
    checkpoint.mkdir()
    shutil.copy(trained / "best.ckpt", checkpoint)
    settings = predict(checkpoint, photos)
    assert reads.stopped(*settings, folder=tmp_path / "run", at=9)
    caplog.clear()
    if change == "photo":
        save_image(photos / "0_real" / "001.png", 999, fake=False)
    elif change == "list":
        save_image(photos / "0_real" / "0000.png", 999, fake=False)
    elif change == "weights":
        content = torch.load(checkpoint / "best.ckpt", weights_only=True)
        next(iter(content["state_dict"].values())).add_(0.1)
        torch.save(content, checkpoint / "best.ckpt")
    else:
        settings.append(OTHER_SETTING[change])
    rows = reads.of(*settings, folder=tmp_path / "run")
    expected = [*range(8, 15), 1, 3] if change == "photo" else [*range(15 + (change == "list"))]
    assert rows == expected
    line = {"photo": "1 have changed since", "list": "since samples changed", "never": ""}
    line |= {"crop": "since geometry changed", "weights": "since weights changed"}
    line["limit"] = "since max_megapixels changed"
    assert line[change] in caplog.text
    run_task(*settings, folder=tmp_path / "whole")
    found, other = (
        {row["path"]: float(row["logit"]) for row in read_csv(tmp_path / name / "predictions.csv")}
        for name in ("run", "whole")
    )
    assert found == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_killed_test_continues_to_the_same_scores(
    name: str, run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    overrides = [*signal_in_test("test", name, tmp_path, row=9), f"checkpoint={trained}/best.ckpt"]
    overrides += ["generator=folder", f"test_set={{path: {sets}/test, name: mine}}", SEARCH_PATH]
    overrides += ["workers=0", "trainer=cpu", BATCHES_OF_4]
    folder = tmp_path / "run"
    overrides.append(f"hydra.run.dir={folder}")
    first = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert first.returncode == {"SIGKILL": -9, "SIGTERM": 143}[name], first.stderr
    log = folder / "test.0.scores.jsonl"
    assert len(log.read_text().splitlines()) == 1 + 2  # the header and 8 images
    if name == "SIGTERM":
        assert "to continue: " in first.stderr
    again = run(*overrides, cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert again.returncode == 0, again.stderr
    assert "test: 8 of 15 images are scored already" in again.stdout
    assert not set("\r\x1b│━") & set(again.stdout + again.stderr)  # neither bars nor boxes
    whole = run(
        *overrides[:-1], f"hydra.run.dir={tmp_path}/whole", cwd=tmp_path, PYTHONPATH=PYTHONPATH
    )
    assert whole.returncode == 0, whole.stderr
    for file in ("scores.parquet", "unreadable.csv"):
        assert (folder / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert not log.exists()


@pytest.mark.slow
def test_several_ranks_continue_what_another_number_has_scored(
    run: CliRunner, sets: Path, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    overrides = [*signal_in_test("predict", "SIGTERM", tmp_path, row=20), f"inputs={sets}/train"]
    overrides += [f"checkpoint={trained}/best.ckpt", SEARCH_PATH, "workers=0", BATCHES_OF_4]
    overrides.append(f"hydra.run.dir={folder}")
    first = run(*overrides, "trainer=ddp_cpu", cwd=tmp_path, PYTHONPATH=PYTHONPATH)
    assert first.returncode == 143, first.stderr
    again = run(
        *overrides, "trainer=ddp_cpu", "trainer.devices=3", cwd=tmp_path, PYTHONPATH=PYTHONPATH
    )
    assert again.returncode == 0, again.stderr
    assert "images are scored already" in again.stdout
    whole = run_task(*predict(trained, sets / "train"), folder=tmp_path / "whole")
    found, other = (
        {row["path"]: float(row["logit"]) for row in read_csv(place / "predictions.csv")}
        for place in (folder, whole)
    )
    assert len(found) == 33
    assert found == pytest.approx(other, abs=1e-6)
    assert not list(folder.glob("*.jsonl"))


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network answer NaN for images whose first pixel is (1, 2, 3)."""
    forward = DetectorNetwork.forward

    def spoil(network: DetectorNetwork, images: torch.Tensor) -> torch.Tensor:
        mark = torch.tensor([1, 2, 3], dtype=torch.uint8)
        spoilt = (images[:, 0, 0] == mark).all(dim=1)
        return forward(network, images).masked_fill(spoilt, torch.nan)

    monkeypatch.setattr(DetectorNetwork, "forward", spoil)


def save_spoilt(path: Path) -> None:
    """Save an image for which the network of `spoilt` answers NaN."""
    pixels = np.full((32, 32, 3), 99, np.uint8)
    pixels[0, 0] = 1, 2, 3
    Image.fromarray(pixels).save(path)


@pytest.mark.usefixtures("spoilt")
def test_prediction_with_a_logit_that_is_not_finite_gives_no_verdict(
    reads: Reads, trained: Path, photos: Path, tmp_path: Path
) -> None:
    save_spoilt(photos / "0_real" / "002.png")
    save_spoilt(photos / "1_fake" / "001.png")
    folder, settings = tmp_path / "run", predict(trained, photos)
    with pytest.raises(GenspotError) as raised:
        run_task(*settings, folder=folder)
    line = str(raised.value)
    assert "the logits of 2 of 14 images are not finite numbers" in line
    assert f"{photos}/0_real/002.png" in line
    assert "\n" not in line
    assert not (folder / "predictions.csv").exists()
    rows = read_csv(folder / "not_finite_logits.csv")
    assert [(Path(row["path"]).name, row["reason"]) for row in rows] == [
        ("002.png", "logit nan"),
        ("001.png", "logit nan"),
    ]
    with pytest.raises(GenspotError, match="not finite"):
        reads.of(*settings, folder=folder)
    assert reads.rows == [0, 1, 2, 3, 8, 9, 10, 11]  # their batches
    for path in (photos / "0_real" / "002.png", photos / "1_fake" / "001.png"):
        save_image(path, 5, fake=False)
    run_task(*settings, folder=folder)
    assert len(read_csv(folder / "predictions.csv")) == 14
    assert not (folder / "not_finite_logits.csv").exists()


@pytest.mark.usefixtures("spoilt")
@pytest.mark.parametrize("place", ["test", "val"])
def test_test_with_a_logit_that_is_not_finite_keeps_the_scores_of_the_others(
    place: str, trained: Path, sets: Path, tmp_path: Path
) -> None:
    for name in ("test", "val"):
        shutil.copytree(sets / name, tmp_path / name)
    save_spoilt(tmp_path / place / "1_fake" / "000.png")
    copy = tmp_path / "copy.ckpt"  # without scores of validation images beside it
    shutil.copy(trained / "best.ckpt", copy)
    settings = ["task=test", f"checkpoint={copy}", "generator=folder", SEARCH_PATH, "workers=0"]
    settings += [f"test_set={{path: {tmp_path}/test, name: mine}}", "data=folder"]
    settings += [f"data.val={tmp_path}/val", "trainer=cpu"]
    folder = tmp_path / "run"
    with pytest.raises(GenspotError, match=r"1 of 25 .* not finite.*not_finite_logits\.csv"):
        run_task(*settings, folder=folder)
    counts = {
        name: pq.read_table(folder / file)["logit"].to_numpy()
        for name, file in (("test", "scores.parquet"), ("val", "validation.parquet"))
    }
    assert all(np.isfinite(logits).all() for logits in counts.values())
    assert {name: len(logits) for name, logits in counts.items()} == {
        "test": 14 - (place == "test"),
        "val": 11 - (place == "val"),
    }
    (row,) = read_csv(folder / "not_finite_logits.csv")
    assert row["path"] == f"{tmp_path}/{place}/1_fake/000.png"
    assert not (folder / "metrics.json").exists()
    assert not (folder / "report.html").exists()


@pytest.mark.usefixtures("spoilt")
def test_api_gives_no_probability_of_a_logit_that_is_not_finite(
    published_checkpoint: Path, tmp_path: Path
) -> None:
    save_spoilt(tmp_path / "spoilt.png")
    save_image(tmp_path / "good.png", 0, fake=False)
    detector = genspot.load_detector(published_checkpoint, crop=32)
    paths = [tmp_path / "good.png", tmp_path / "spoilt.png"]
    with pytest.raises(genspot.GenspotError, match=r"1 of 2 images are not finite.*images\[1\]"):
        detector.predict(paths)
    assert len(detector.predict(paths[:1]).logits) == 1


def test_test_that_is_stopped_in_its_report_scores_nothing_again(
    reads: Reads, trained: Path, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["task=test", f"checkpoint={trained}/best.ckpt", "generator=folder", SEARCH_PATH]
    settings += [f"test_set={{path: {sets}/test, name: mine}}", "workers=0", "trainer=cpu"]
    folder = tmp_path / "run"

    def stop(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("genspot.tasks.evaluate.write_report", stop)
        with pytest.raises(KilledError):
            run_task(*settings, folder=folder)
    assert can_continue(folder)
    assert len(reads.of(*settings, folder=folder)) == 1  # which cannot be read
    assert (folder / "report.html").is_file()
    assert not can_continue(folder)
