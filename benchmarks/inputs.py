"""The time of each model's input representation beside its backbone's, forward alone.

make bench-inputs
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from hydra import compose, initialize_config_dir

from benchmarks.timing import print_table, time_in_turns
from genspot.detector.backbones import BACKBONES
from genspot.detector.dry_run import image_size
from genspot.detector.inputs import INPUTS
from genspot.detector.network import CPU_EVAL_CHUNK, DetectorNetwork, fuse_batchnorm
from genspot.detector.settings import ModelSettings
from genspot.tasks import config
from genspot.tasks.composition import register_studies
from genspot.tasks.paths import CONF

ALLOWED = 0.25  # of the backbone's time


def model_settings(name: str) -> ModelSettings:
    """Return the settings of `model=name` with random weights."""
    cfg = compose("config", [f"model={name}"])
    return config.model_settings(cfg).without_initial_weights()


def models() -> list[str]:
    """Return the models whose input is not plain pixels, of which timm's need an extra."""
    names = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
    inputs = {name: compose("config", [f"model={name}"]).model.input.name for name in names}
    return [name for name in names if inputs[name] != "pixels"]


def parts(
    model: ModelSettings, batch: int, device: str
) -> tuple[dict[str, Callable[[], object]], tuple[int, int]]:
    """Return the input representation and the backbone on `batch` images of noise, and their size.

    As in an evaluation, batch norms are fused, and a CPU takes a few images at a time.
    """
    assert model.input and model.backbone
    network = DetectorNetwork(
        INPUTS.build(model.input), BACKBONES.build(model.backbone), channels_last=True
    )
    network = fuse_batchnorm(network).to(device)
    size = image_size(model.test, model.train)
    pixels = network.as_pixels(
        torch.randint(0, 256, (batch, *size, 3), dtype=torch.uint8, device=device)
    )
    chunks = pixels.split(CPU_EVAL_CHUNK if device == "cpu" else batch)
    with torch.inference_mode():
        features = [network.input(chunk) for chunk in chunks]
    finish = torch.cuda.synchronize if device == "cuda" else nullcontext

    def run(part: torch.nn.Module, inputs: list[torch.Tensor]) -> None:
        for chunk in inputs:
            part(chunk)
        finish()

    backbone = partial(run, network.backbone, features)
    return {"input": partial(run, network.input, list(chunks)), "backbone": backbone}, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--models", nargs="+", help="default: all whose input is not pixels")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    # On a CPU, in time of the processor: what other programs take does not count.
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    rows, worst = [], 0.0
    register_studies()
    with initialize_config_dir(str(CONF), version_base="1.3"), torch.inference_mode():
        for name in options.models or models():
            model = model_settings(name)
            assert model.input
            for batch in options.batches:
                calls, (height, width) = parts(model, batch, options.device)
                seconds = time_in_turns(calls, options.turns, clock)
                own, backbone = (statistics.median(seconds[part]) for part in calls)
                worst = max(worst, own / backbone)
                times = (f"{value / batch * 1e3:.2f}" for value in (own, backbone))
                case = name, str(model.input["name"]), f"{height}×{width}", str(batch)
                rows.append((*case, *times, f"{own / backbone:.1%}"))
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    title = f"forward on {device}, {torch.get_num_threads()} threads"
    columns = "model", "input", "pixels", "batch", "input, ms/image", "backbone, ms/image", "share"
    print_table(title, columns, rows)
    print(f"largest share: {worst:.1%} ({'within' if worst <= ALLOWED else 'beyond'} a quarter)")


if __name__ == "__main__":
    main()
