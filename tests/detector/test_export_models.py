"""The detectors of conf/model as ONNX: the graph gives the network's logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genspot.data import image_io
from genspot.detector.export import write_onnx
from genspot.detector.network import build_network, fuse_batchnorm
from genspot.detector.runtimes import open_onnx
from genspot.tasks.composition import composed
from genspot.tasks.config import model_settings
from helpers.graphs import skip_without

skip_without("onnx", "onnxruntime", "onnxscript")

SIDE = 36  # pixels; it is no power of 2
SIDES = {"pixels_and_spectrum": 100}  # its spectrum is of windows of 64 pixels
CHEAP = ["ferretnet_s", "npr", "pixels_and_spectrum", "resnet18", "safe", "small_cnn_laplacian"]
CHEAP += ["zhang_spectrum"]
SLOW = ["ferretnet_b", "ladeda", "resnet50", "resnet50_antialiased", "resnet50_median3"]
SLOW += ["resnet50_npr", "tiny_ladeda", "zhang_image"]


@pytest.mark.parametrize(
    "name", [*CHEAP, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_exported_graph_of_a_model_gives_its_logits(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    with composed(f"model={name}") as cfg:
        settings = model_settings(cfg).without_initial_weights()
    network = fuse_batchnorm(build_network(settings))
    side = SIDES.get(name, SIDE)
    shape = (2, side + 5, side + 8, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    write_onnx(network, side, planes, tmp_path / "a.onnx")
    cropped = np.stack([image_io.centre_crop(image, side) for image in images])
    with torch.inference_mode():
        expected = network(torch.from_numpy(cropped)).numpy()
    found = open_onnx(tmp_path / "a.onnx").run(planes)
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)
