"""A detector of four numbers, its checkpoints, and its batches."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from genspot.common.geometry import Geometry
from genspot.detector.backbones import register_backbone
from genspot.detector.metadata import IMAGENET, Metadata
from genspot.detector.module import Detector
from genspot.detector.network import build_network
from genspot.detector.settings import ModelSettings

PIXELS = {"name": "pixels", **IMAGENET}


@register_backbone("channel_means")
def channel_means() -> nn.Module:
    """Return a backbone that weights the means of the three channels."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))


def make_model(**changes: Any) -> ModelSettings:
    """Return the settings of a model of `channel_means` on ImageNet-normalised pixels."""
    geometry = Geometry(None, 32)
    settings = {"name": "means", "input": PIXELS, "backbone": {"name": "channel_means"}}
    return ModelSettings(**(settings | {"train": geometry, "test": geometry} | changes))


def make_metadata(model: ModelSettings | None = None, **changes: Any) -> Metadata:
    """Return the metadata of a training on a folder."""
    fields: dict[str, Any] = {"data": "folder", "num_classes": None, "aug": "none"}
    fields |= {"study": None, "seed": 0, "model": model or make_model()}
    return Metadata(**(fields | changes))


def save_checkpoint(path: Path, metadata: Metadata, state: dict[str, torch.Tensor]) -> Path:
    """Save what genspot saves; `state` is the state dict of the network."""
    weights = {f"network.{key}": value for key, value in state.items()}
    torch.save({"genspot": metadata.as_dict(), "state_dict": weights}, path)
    return path


def small_cnn_metadata() -> Metadata:
    """Return the metadata of `save_small_cnn`."""
    return make_metadata(
        make_model(
            input={"name": "laplacian"},
            backbone={"name": "small_cnn", "width": 4},
            test=Geometry(None, 24),
        )
    )


def save_small_cnn(folder: Path) -> Path:
    """Save a checkpoint of a small network on residuals, with a crop of 24 and seeded weights."""
    torch.manual_seed(0)
    metadata = small_cnn_metadata()
    state = build_network(metadata.model).state_dict()
    return save_checkpoint(folder / "best.ckpt", metadata, state)


def make_detector(model: ModelSettings | None = None) -> Detector:
    """Return a detector with seeded weights that SGD trains."""
    torch.manual_seed(0)
    optimizer = functools.partial(torch.optim.SGD, lr=0.1)
    return Detector(build_network(model or make_model()), optimizer)


def make_batch(rows: list[int], seed: int = 0, side: int = 8) -> dict[str, Any]:
    """Return a batch of noise with alternating labels."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(rows), side, side, 3)
    return {
        "image": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        "label": torch.arange(len(rows)) % 2,
        "row": torch.tensor(rows),
        "padded": torch.tensor([row % 3 == 0 for row in rows]),
        "unreadable": [],
    }


def make_unreadable_batch(rows: list[int]) -> dict[str, Any]:
    """Return a batch of which no image could be read."""
    nothing = torch.empty(0, dtype=torch.int64)
    unreadable = [(row, f"torn at {row}") for row in rows]
    return {"image": None, "label": nothing, "row": nothing, "unreadable": unreadable}


def make_trainer(**arguments: Any) -> pl.Trainer:
    """Return a silent trainer on the CPU."""
    silent: dict[str, Any] = {"accelerator": "cpu", "logger": False}
    silent |= {"enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(**(silent | {"enable_model_summary": False} | arguments))
