"""Images a second on the CPU: PyTorch, and the exported detector in ONNX Runtime.

make bench-export
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import print_ratios, time_in_turns
from genspot.detector.export import write_int8, write_onnx
from genspot.detector.exported import CHUNK
from genspot.detector.network import DetectorNetwork, build_network, fuse_batchnorm
from genspot.detector.runtimes import open_onnx
from genspot.tasks.composition import composed
from genspot.tasks.config import model_settings

MODELS = {"resnet50": 224, "ferretnet_s": 256}  # and the crop in pixels


def make_network(model: str) -> DetectorNetwork:
    """Return a network with random weights, as predictions use it."""
    torch.manual_seed(0)
    with composed(f"model={model}") as cfg:
        settings = model_settings(cfg).without_initial_weights()
    return fuse_batchnorm(build_network(settings))


def onnx_runtime(path: Path, pixels: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that scores `pixels`, `uint8` N×3×H×W, with the network at `path`."""
    run = open_onnx(path).run
    chunks = [pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK)]
    return lambda: np.concatenate([run(chunk) for chunk in chunks])


def compare(model: str, crop: int, images: int, turns: int, folder: Path) -> None:
    """Print the speeds of one network, and how far the logits lie apart."""
    network = make_network(model)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 3, crop, crop), dtype=np.uint8)
    write_onnx(network, crop, pixels[:2], folder / "a.onnx")
    write_int8(folder / "a.onnx", (image[None] for image in pixels[:8]), folder / "b.onnx")
    batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    torch_logits = functools.partial(network, batch)
    variants: dict[str, Callable[[], object]] = {
        "PyTorch": torch_logits,
        "ONNX Runtime": onnx_runtime(folder / "a.onnx", pixels),
        "ONNX Runtime, 8 bits": onnx_runtime(folder / "b.onnx", pixels),
    }
    with torch.inference_mode():
        seconds = time_in_turns(variants, turns)
        expected = torch_logits().numpy()
    title = f"{model}, {crop} pixels, {torch.get_num_threads()} threads"
    print_ratios(title, seconds, images, "ms an image", 1e3 / images)
    difference = np.abs(onnx_runtime(folder / "a.onnx", pixels)() - expected).max()
    print(f"largest difference of two logits in float32: {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args()
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            compare(model, MODELS[model], options.images, options.turns, Path(folder))


if __name__ == "__main__":
    main()
