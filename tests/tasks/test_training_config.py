"""A checkpoint is tested with the data, study and model config of its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.metadata import PUBLISHED
from genspot.tasks.training_config import record, resolve_metadata, with_training_config
from helpers.tasks import composed

TRAINED = replace(PUBLISHED, aug="none", num_classes=2)


@pytest.mark.parametrize("study", [None, "num_classes_random"])
def test_with_training_config_takes_the_generators_of_the_data(
    study: str | None, tmp_path: Path
) -> None:
    metadata = replace(TRAINED, study=study)
    with composed("task=test", "checkpoint=x", folder=tmp_path) as cfg:
        cfg = with_training_config(cfg, metadata)
        assert (cfg.task.name, cfg.data.name, len(cfg.generator)) == ("test", "progan_20cls", 13)
        record(cfg, metadata, crop=None)
    assert (cfg.data.name, cfg.data.num_classes) == ("progan_20cls", 2)
    assert (cfg.crop, cfg.aug.name, cfg.model.name) == ("none", "none", "resnet50")


def test_with_training_config_prefers_the_command_line(tmp_path: Path) -> None:
    overrides = ["task=test", "data=simulated", "generator=[sitd,san]"]
    with composed(*overrides, folder=tmp_path) as cfg:
        cfg = with_training_config(cfg, TRAINED)
        assert (cfg.data.name, list(cfg.generator)) == ("simulated", ["sitd", "san"])
        record(cfg, TRAINED, crop=224)  # of the data, the name and the number of classes
    assert cfg.data == {"name": "progan_20cls", "num_classes": 2}


def test_with_training_config_of_a_folder_asks_for_a_test_set(tmp_path: Path) -> None:
    with (
        composed("task=test", folder=tmp_path) as cfg,
        pytest.raises(GenspotError, match=r"test_set\.path=PATH"),
    ):
        with_training_config(cfg, replace(TRAINED, data="folder"))


def test_resolve_metadata_with_another_architecture_names_it(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "bare.pth", PUBLISHED, {})
    overrides = ["task=test", "model.backbone.arch=resnet18", "allow_mismatch=true"]
    with composed(*overrides, folder=tmp_path) as cfg:
        model = resolve_metadata(cfg, checkpoint).model
    assert (model.name, model.backbone) == (
        "resnet18",
        {"name": "resnet", "arch": "resnet18", "weights": None},
    )
