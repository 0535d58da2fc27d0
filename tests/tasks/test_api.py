"""The Python API gives the figures of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import genspot
from genspot.augment.degradations import parse_protocol
from genspot.common.geometry import Geometry
from genspot.detector.network import build_network
from helpers.arrays import make_noise
from helpers.detectors import PIXELS, make_metadata, make_model, save_checkpoint
from helpers.errors import error_of
from helpers.runs import read_csv, read_metrics
from helpers.tasks import run_task


@pytest.mark.parametrize("crop", ["none", 32])
def test_predict_equals_the_predict_task(
    crop: str | int, published_checkpoint: Path, sets: Path, tmp_path: Path
) -> None:
    settings = ["task=predict", f"checkpoint={published_checkpoint}", f"inputs={sets}/val"]
    run = run_task(*settings, f"crop={crop}", "workers=0", folder=tmp_path / "run")
    rows = read_csv(run / "predictions.csv")
    detector = genspot.load_detector(published_checkpoint, crop=crop)
    found = detector.predict([row["path"] for row in rows])
    expected = [float(row["logit"]) for row in rows]
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    probabilities = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(found.probabilities, probabilities, atol=1e-6)
    assert found.padded.tolist() == [row["padded"] == "true" for row in rows]


@pytest.mark.parametrize(
    ("std", "expected"),
    [
        ([0, 1, 1], "each must be above 0"),
        ([1, -1, 1], "each must be above 0"),
        ([1, True, 1], "one number per channel"),
        (["1", "1", "1"], "one number per channel"),
        ([1e-18, 1, 1], "the logit of a black image is -inf"),
    ],
)
def test_refused_model_names_its_checkpoint(std: list[Any], expected: str, tmp_path: Path) -> None:
    model = make_model(input=PIXELS | {"std": std})
    state = {"backbone.2.weight": torch.full((1, 3), 1e30), "backbone.2.bias": torch.zeros(1)}
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(model), state)
    message = error_of(genspot.load_detector, path)
    assert message.startswith(f"checkpoint={path}: ") and expected in message


def test_predict_has_the_protocol_of_the_training(tmp_path: Path) -> None:
    state = build_network(make_model()).state_dict()
    protocol = "fit_32+jpeg_20"
    plain = genspot.load_detector(save_checkpoint(tmp_path / "a.ckpt", make_metadata(), state))
    changed = genspot.load_detector(
        save_checkpoint(tmp_path / "b.ckpt", make_metadata(protocol=protocol), state)
    )
    image = make_noise(50, 70, 0)
    expected = parse_protocol(protocol)(image)
    assert changed.predict(image).logits == plain.predict(expected).logits
    assert changed.predict(image).logits != plain.predict(image).logits
    with pytest.raises(genspot.GenspotError, match=r"^protocol: 8 × 8 pixels: smaller than"):
        changed.predict(make_noise(8, 8, 0))


def test_predict_takes_paths_pil_images_and_arrays(published_checkpoint: Path, sets: Path) -> None:
    file = sets / "val" / "0_real" / "000.png"
    image = Image.open(file)
    detector = genspot.load_detector(str(published_checkpoint), crop=32)
    found = detector.predict([file, str(file), image, np.asarray(image)])
    assert found.logits.tolist() == [found.logits[0]] * 4
    assert detector.predict(image).logits.shape == (1,)
    assert detector.metadata.model.name == "resnet50"
    for other, message in (
        (np.zeros((8, 8), np.uint8), "give uint8 of H×W×3"),
        (np.zeros((8, 8, 3), np.float32), "give uint8 of H×W×3"),
        (np.zeros((0, 8, 3), np.uint8), "give uint8 of H×W×3"),
        ("missing.png", "missing.png"),
    ):
        with pytest.raises(genspot.GenspotError, match=message):
            detector.predict(other)


def test_load_detector_refuses_another_crop_and_a_foreign_config(
    published_checkpoint: Path, trained: Path
) -> None:
    with pytest.raises(genspot.GenspotError, match="crop=big"):
        genspot.load_detector(published_checkpoint, crop="big")
    with pytest.raises(genspot.GenspotError, match="--config-dir"):
        genspot.load_detector(trained / "best.ckpt")


@pytest.mark.parametrize("device", ["nope", None, "meta", "cuda:99"])
def test_load_detector_refuses_a_device_that_is_not_here(device: str | None) -> None:
    with pytest.raises(genspot.GenspotError, match=f"device={device!r} cannot be used here"):
        genspot.load_detector("x.pth", device=device)  # type: ignore[arg-type]


def test_evaluate_gives_the_figures_of_a_finished_run(trained: Path) -> None:
    expected = read_metrics(trained)
    found = genspot.evaluate(trained / "scores.parquet")
    for key in ("ap", "acc", "auroc", "ece", "images"):
        assert found["generators"]["mine"][key] == expected["generators"]["mine"][key]
        assert found["mean"][key] == expected["mean"][key]


def test_predict_scores_16_bit_grey_as_its_file(
    published_checkpoint: Path, tmp_path: Path
) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    image = Image.fromarray(ramp)
    image.save(tmp_path / "grey.png")
    detector = genspot.load_detector(published_checkpoint, crop=32)
    logits = detector.predict([image, tmp_path / "grey.png"]).logits
    assert logits[0] == logits[1]


@pytest.mark.parametrize("crop", ["none", 100])
def test_load_detector_refuses_a_size_that_the_network_does_not_take(
    crop: str | int, tmp_path: Path
) -> None:
    size = Geometry(None, 160)
    backbone = {"name": "timm", "arch": "test_vit", "weights": None}
    model = make_model(name="timm_test_vit", backbone=backbone, train=size, test=size)
    state = build_network(model).state_dict()
    path = save_checkpoint(tmp_path / "vit.ckpt", make_metadata(model), state)
    assert genspot.load_detector(path).geometry == size
    with pytest.raises(genspot.GenspotError, match="model timm_test_vit fails on images of"):
        genspot.load_detector(path, crop=crop)
