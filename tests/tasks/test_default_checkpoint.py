"""Which detector scores photos where none is named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from genspot.download.table import Weights
from genspot.tasks.default_checkpoint import choose_checkpoint, downloaded_detectors
from genspot.tasks.downloads import read_downloads


def config(weights: Path, task: str = "predict", checkpoint: str | None = None) -> DictConfig:
    return OmegaConf.create(
        {"task": {"name": task}, "checkpoint": checkpoint, "paths": {"weights": str(weights)}}
    )


def place(folder: Path, name: str, missing: int = 0) -> None:
    """Write a file of the name and the size of published weights, `missing` bytes shorter."""
    entry = read_downloads()[name]
    assert isinstance(entry, Weights)
    folder.mkdir(exist_ok=True)
    with (folder / entry.files[0].name).open("wb") as file:
        file.truncate(entry.files[0].size - missing)


@pytest.mark.parametrize("task", ["predict", "serve"])
def test_embedded_detector_is_taken_where_none_was_downloaded_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, task: str
) -> None:
    cfg = config(tmp_path / "none", task)
    with caplog.at_level(logging.INFO):
        choose_checkpoint(cfg)
    assert cfg.checkpoint == "embedded"
    (line,) = caplog.messages
    assert "checkpoint=embedded" in line and "checkpoint=PATH" in line and "\n" not in line


def test_downloaded_detector_comes_before_the_embedded_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place(tmp_path, "ferretnet_s")
    place(tmp_path, "blur_jpg_0.5")
    cfg = config(tmp_path)
    with caplog.at_level(logging.INFO):
        choose_checkpoint(cfg)
    assert cfg.checkpoint == "published/blur_jpg_0.5"
    assert "published/ferretnet_s" in caplog.text  # what else there is


def test_half_a_file_and_weights_that_are_no_detector_do_not_count(tmp_path: Path) -> None:
    place(tmp_path, "ferretnet_s", missing=1)
    place(tmp_path, "imagenet_resnet50")
    (tmp_path / "other.pth").write_bytes(b"x")
    assert downloaded_detectors(tmp_path) == []


@pytest.mark.parametrize(
    ("task", "checkpoint"), [("predict", "best.ckpt"), ("test", None), ("reference", None)]
)
def test_named_checkpoint_and_other_tasks_are_left_alone(
    tmp_path: Path, task: str, checkpoint: str | None
) -> None:
    cfg = config(tmp_path, task, checkpoint)
    choose_checkpoint(cfg)
    assert cfg.checkpoint == checkpoint
