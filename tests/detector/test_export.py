"""Networks written as ONNX: the graph crops, transforms and scores as the network does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from genspot.data import image_io
from genspot.detector import export
from genspot.detector.export import centre_crop, check_packages, write_onnx
from genspot.detector.network import DetectorNetwork, build_network
from genspot.detector.runtimes import open_onnx
from helpers.detectors import make_model
from helpers.errors import error_of
from helpers.graphs import skip_without

skip_without("onnx", "onnxruntime", "onnxscript")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def network_logits(network: DetectorNetwork, images: np.ndarray, crop: int | None) -> np.ndarray:
    """Return the logits of PyTorch, of images that are cropped as those of a prediction."""
    pixels = [image.transpose(1, 2, 0) for image in images]
    cropped = [image_io.centre_crop(one, crop) if crop else one for one in pixels]
    with torch.inference_mode():
        result: np.ndarray = network(torch.from_numpy(np.stack(cropped))).numpy()
    return result


@pytest.mark.parametrize("size", [1, 7, 8])
def test_centre_crop_is_that_of_a_prediction_for_all_sizes(size: int) -> None:
    for height in range(1, 21):
        width = 21 - height
        images = noise(2, 3, height, width)
        found = centre_crop(torch.from_numpy(images), size).numpy()
        expected = [image_io.centre_crop(one.transpose(1, 2, 0), size) for one in images]
        assert np.array_equal(found.transpose(0, 2, 3, 1), np.stack(expected)), (height, width)


@pytest.mark.parametrize("crop", [16, None])
def test_write_onnx_gives_the_networks_logits_at_any_number_and_size(
    crop: int | None, tmp_path: Path
) -> None:
    """With the median residual, which takes images one by one in PyTorch."""
    torch.manual_seed(0)
    model = make_model(input={"name": "median3", "mean": [0.5] * 3, "std": [0.25] * 3})
    network = build_network(model).eval()
    path = tmp_path / "a.onnx"
    write_onnx(network, crop, noise(2, 3, 20, 24), path)
    run = open_onnx(path).run
    for shape in ((1, 3, 16, 16), (5, 3, 33, 20), (2, 3, 9, 31)):
        images = noise(*shape)
        assert np.allclose(run(images), network_logits(network, images, crop), atol=1e-5), shape
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def test_write_onnx_says_in_one_line_what_it_cannot_express(tmp_path: Path) -> None:
    class Dependent(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            scale = 1.0 if images.mean().item() > 0 else 2.0  # depends on the pixels
            return images.mean((1, 2, 3))[:, None] * scale

    network = DetectorNetwork(build_network(make_model()).input, Dependent()).eval()
    message = error_of(write_onnx, network, 16, noise(2, 3, 20, 24), tmp_path / "a.onnx")
    assert message.startswith("the network cannot be exported as ONNX with crop=16: ")
    assert "\x1b" not in message and not list(tmp_path.iterdir())


def test_check_packages_names_the_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    check_packages(["onnx", "safetensors"])
    message = error_of(check_packages, ["onnx", "openvino"])
    assert message.startswith(
        "format=[onnx,openvino] needs openvino: pip install 'genspot[export]"
    )


def test_openvino_that_cannot_write_is_one_line(tmp_path: Path) -> None:
    class FullDisk:
        def save_model(self, *_: object, **__: object) -> None:
            raise RuntimeError("basic_ios::clear:\niostream error")  # as OpenVINO has it

    file = tmp_path / "a.xml"
    message = error_of(lambda: export._save_openvino(FullDisk(), None, file))
    expected = f"{file} or its .bin cannot be written (basic_ios::clear: iostream error): is the"
    assert message.startswith(expected) and "\n" not in message
