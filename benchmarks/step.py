"""A training step and an evaluation of ResNet-50 on a CPU: genspot's beside plain PyTorch.

    make bench

Variants take turns; the median over the turns and its ratio to the plain variant are shown.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from genspot.detector.backbones import folded, resnet
from genspot.detector.checkpoint import IMAGENET
from genspot.detector.precision import precision
from genspot.detector.module import Batch, Detector

CROP = 224


def batch(count: int) -> Batch:
    """Random bytes: no step's time depends on what an image shows."""
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, CROP, CROP, 3), dtype=torch.uint8, generator=draws)
    return {"image": images, "label": torch.arange(count) % 2, "unreadable": []}


def detector(channels_last: bool, fused: bool) -> tuple[Detector, torch.optim.Optimizer]:
    torch.manual_seed(0)
    adam = functools.partial(torch.optim.Adam, lr=1e-4, fused=fused or None)
    mean, std = IMAGENET["mean"], IMAGENET["std"]
    model = Detector(resnet("resnet50"), mean, std, adam, channels_last=channels_last)
    return model, adam(model.parameters())


def training(channels_last: bool, bf16: bool, fused: bool, images: Batch) -> Callable[[], object]:
    """A step as Lightning takes it: autocast around the forward pass, then Adam."""
    model, optimizer = detector(channels_last, fused)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.training_step(images, 0)
        assert loss is not None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def plain_evaluation(model: Detector, images: torch.Tensor) -> torch.Tensor:
    """Eager float32, channels first, the whole batch at once."""
    pixels = images.permute(0, 3, 1, 2).contiguous().float() / 255
    logits: torch.Tensor = model.network((pixels - model.mean) / model.std)
    return logits.squeeze(1)


def settled(images: Batch) -> tuple[Detector, Detector]:
    """A detector whose batch norms have seen images, and the one that evaluation makes of it."""
    model, _ = detector(channels_last=False, fused=False)
    with torch.no_grad():
        for _ in range(2):
            functional.binary_cross_entropy_with_logits(
                model(images["image"][:16]), images["label"][:16].float()
            )
    mean, std = IMAGENET["mean"], IMAGENET["std"]
    ours = Detector(folded(model.network), mean, std, torch.optim.Adam, channels_last=True)
    return model.eval(), ours.eval()


def measure(works: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Seconds of each variant, a figure a turn."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns + 1):  # the first is not counted
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def show(title: str, times: dict[str, list[float]]) -> None:
    table = Table(title=title)
    for column in ("", "ms", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    base = statistics.median(next(iter(times.values())))
    for name, own in times.items():
        middle = statistics.median(own)
        table.add_row(name, f"{middle * 1e3:.0f}", f"{base / middle:.2f}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*self.log.*")  # there is no trainer to log to
    cores = torch.get_num_threads()
    images = batch(16)
    times = measure(
        {
            "float32, channels first, Adam (plain)": training(False, False, False, images),
            "float32, channels last, fused Adam": training(True, False, True, images),
            "bfloat16, channels last, fused Adam": training(True, True, True, images),
        },
        options.turns,
    )
    show(f"training step, ResNet-50, batch 16, {CROP} pixels, {cores} threads", times)
    print(f"trainer=auto takes {precision('auto', 'cpu')} here ({os.cpu_count()} cores)")

    images = batch(64)
    plain, ours = settled(images)
    works: dict[str, Callable[[], object]] = {
        "eager float32, channels first (plain)": lambda: plain_evaluation(plain, images["image"]),
        "the same, 8 images at a time": lambda: [
            plain_evaluation(plain, few) for few in images["image"].split(8)
        ],
        "genspot (folded, channels last, 8 at a time)": lambda: ours(images["image"]),
    }
    with torch.inference_mode():
        show(f"evaluation, ResNet-50, batch 64, {CROP} pixels", measure(works, options.turns))
        apart = (plain_evaluation(plain, images["image"]) - ours(images["image"])).abs().max()
    print(f"largest difference of two logits: {apart:.1e}")


if __name__ == "__main__":
    main()
