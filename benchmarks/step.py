"""A training step and an evaluation of ResNet-50 on the CPU: genspot and plain PyTorch.

make bench
"""

from __future__ import annotations

import argparse
import functools
import os
import warnings
from collections.abc import Callable

import torch
from torch.nn import functional

from benchmarks.timing import print_ratios, time_in_turns
from genspot.detector.backbones import BACKBONES
from genspot.detector.inputs import INPUTS
from genspot.detector.metadata import IMAGENET
from genspot.detector.module import Batch, Detector
from genspot.detector.network import (
    CPU_EVAL_CHUNK,
    DetectorNetwork,
    fuse_batchnorm,
)
from genspot.detector.precision import resolve_precision

CROP = 224


def random_batch(images: int) -> Batch:
    """Return a batch of noise: the time of a step does not depend on the pixels."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, CROP, CROP, 3), dtype=torch.uint8, generator=rng)
    return {"image": pixels, "label": torch.arange(images) % 2, "unreadable": []}


def make_detector(channels_last: bool, fused: bool) -> tuple[Detector, torch.optim.Optimizer]:
    """Return ResNet-50 with random weights and its optimizer, Adam, `fused` or not."""
    torch.manual_seed(0)
    network = DetectorNetwork(
        INPUTS.build({"name": "pixels", **IMAGENET}),
        BACKBONES.build({"name": "resnet", "arch": "resnet50"}),
        channels_last=channels_last,
    )
    adam = functools.partial(torch.optim.Adam, lr=1e-4, fused=fused or None)
    return Detector(network, adam), adam(network.parameters())


def training_step(
    detector: Detector, optimizer: torch.optim.Optimizer, batch: Batch, bf16: bool
) -> None:
    """Take the step that Lightning takes: autocast around the forward pass, then the optimizer."""
    with torch.autocast(batch["image"].device.type, torch.bfloat16, enabled=bf16):
        loss = detector.training_step(batch, 0)
    assert loss is not None
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def plain_logits(network: DetectorNetwork, images: torch.Tensor) -> torch.Tensor:
    """Return the logits of the whole batch at once: eager float32, channels first."""
    pixels = images.permute(0, 3, 1, 2).contiguous()
    logits: torch.Tensor = network.backbone(network.input(pixels))
    return logits.squeeze(1)


def trained_networks(batch: Batch) -> tuple[DetectorNetwork, DetectorNetwork]:
    """Return a network whose batch norms have seen images, and the same prepared to evaluate."""
    networks = [make_detector(channels_last, fused=False)[0].network for channels_last in (0, 1)]
    plain, fast = networks
    with torch.no_grad():
        for _ in range(2):
            functional.binary_cross_entropy_with_logits(
                plain(batch["image"][:16]), batch["label"][:16].float()
            )
    fast.load_state_dict(plain.state_dict())
    return plain.eval(), fuse_batchnorm(fast)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*self.log.*")  # there is no trainer to log to
    batch = random_batch(16)
    steps: dict[str, Callable[[], object]] = {
        name: functools.partial(training_step, *make_detector(fast, fast), batch, bf16)
        for name, fast, bf16 in (
            ("float32, channels first, Adam (plain)", False, False),
            ("float32, channels last, fused Adam", True, False),
            ("bfloat16, channels last, fused Adam", True, True),
        )
    }
    title = f"ResNet-50, {CROP} pixels, {torch.get_num_threads()} threads"
    seconds = time_in_turns(steps, options.turns)
    print_ratios(f"training step, batch 16, {title}", seconds, 16, "ms", 1e3)
    choice = resolve_precision("auto", "cpu")
    print(f"trainer=auto takes {choice} here ({os.cpu_count()} cores)")

    batch = random_batch(64)
    images = batch["image"]
    plain, fast = trained_networks(batch)
    chunk = CPU_EVAL_CHUNK
    evaluations: dict[str, Callable[[], object]] = {
        "eager float32, channels first (plain)": lambda: plain_logits(plain, images),
        f"the same, {chunk} images at a time": lambda: [
            plain_logits(plain, few) for few in images.split(chunk)
        ],
        f"genspot (fused batch norms, channels last, {chunk} at a time)": lambda: fast(images),
    }
    with torch.inference_mode():
        seconds = time_in_turns(evaluations, options.turns)
        print_ratios(f"evaluation, batch 64, {title}", seconds, 64, "ms", 1e3)
        difference = (plain_logits(plain, images) - fast(images)).abs().max()
    print(f"largest difference of two logits: {difference:.1e}")


if __name__ == "__main__":
    main()
