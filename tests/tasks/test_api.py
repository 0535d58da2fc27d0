"""The Python API gives the figures of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from genspot.detector.backbones.resnet import resnet
from PIL import Image

import genspot
from helpers.runs import read_csv, read_metrics
from helpers.tasks import run_task


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare state dict of a ResNet-50 with random weights."""
    torch.manual_seed(1)
    network = resnet("resnet50")
    network.fc.weight.data.mul_(0.01)  # logits of a usual size: at 80, float32 has steps of 1e-5
    file = tmp_path_factory.mktemp("checkpoint") / "resnet50.pth"
    torch.save(network.state_dict(), file)
    return file


@pytest.mark.parametrize("crop", [None, "none", 32])
def test_predict_equals_the_predict_task(
    crop: str | int | None, checkpoint: Path, sets: Path, tmp_path: Path
) -> None:
    settings = ["task=predict", f"checkpoint={checkpoint}", f"inputs={sets}/val", "workers=0"]
    settings += [] if crop is None else [f"crop={crop}"]
    rows = read_csv(run_task(*settings, folder=tmp_path / "run") / "predictions.csv")
    detector = genspot.load_detector(checkpoint, crop=crop)
    found = detector.predict([row["path"] for row in rows])
    assert found.logits.dtype == np.float32
    expected = [float(row["logit"]) for row in rows]
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    probabilities = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(found.probabilities, probabilities, atol=1e-6)
    assert found.padded.tolist() == [row["padded"] == "true" for row in rows]


def test_predict_takes_paths_pil_images_and_arrays(checkpoint: Path, sets: Path) -> None:
    file = sets / "val" / "0_real" / "000.png"
    image = Image.open(file)
    detector = genspot.load_detector(str(checkpoint), crop=32)
    found = detector.predict([file, str(file), image, np.asarray(image)])
    assert found.logits.tolist() == [found.logits[0]] * 4
    assert detector.predict(image).logits.shape == (1,)
    assert detector.metadata.model.name == "resnet50"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), "give uint8 of H×W×3"),
        (np.zeros((8, 8, 3), np.float32), "give uint8 of H×W×3"),
        ("missing.png", "missing.png"),
    ],
)
def test_predict_refuses_other_images(
    image: str | np.ndarray, message: str, checkpoint: Path
) -> None:
    with pytest.raises(genspot.GenspotError, match=message):
        genspot.load_detector(checkpoint).predict(image)


def test_load_detector_refuses_another_crop_and_a_foreign_config(
    checkpoint: Path, trained: Path
) -> None:
    with pytest.raises(genspot.GenspotError, match="crop=big"):
        genspot.load_detector(checkpoint, crop="big")
    with pytest.raises(genspot.GenspotError, match="--config-dir"):
        genspot.load_detector(trained / "best.ckpt")


def test_evaluate_gives_the_figures_of_a_finished_run(trained: Path) -> None:
    expected = read_metrics(trained)
    found = genspot.evaluate(trained / "scores.parquet")
    for key in ("ap", "acc", "auroc", "ece", "images"):
        assert found["generators"]["mine"][key] == expected["generators"]["mine"][key]
        assert found["mean"][key] == expected["mean"][key]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        genspot.nothing  # noqa: B018
