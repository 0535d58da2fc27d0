"""What a checkpoint says of itself: what genspot writes, and what it refuses of foreign files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose

from genspot.common.errors import GenspotError
from genspot.detector.metadata import PUBLISHED, Metadata
from genspot.tasks.config import model_settings
from helpers.detectors import make_metadata, make_model

FILE = Path("folder/file.ckpt")


def test_metadata_survive_a_checkpoint() -> None:
    model = make_model(backbone={"name": "resnet", "arch": "resnet18", "weights": None})
    for metadata in (make_metadata(model, num_classes=3, study="one", seed=7), PUBLISHED):
        assert Metadata.from_dict(metadata.as_dict(), FILE) == metadata


@pytest.mark.usefixtures("hydra_ready")
def test_published_metadata_equal_the_published_choices_of_conf() -> None:
    cfg = compose("config", ["data=progan_20cls", "model=resnet50"])
    assert PUBLISHED.model == model_settings(cfg).without_initial_weights()
    assert (PUBLISHED.data, PUBLISHED.num_classes) == (cfg.data.name, cfg.data.num_classes)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("data", None, "data=None is not a valid name"),
        ("data", "../../../x", "data=../../../x is not a valid name"),
        ("data", "a\nb", r"'a\\nb' is not plain text"),
        ("aug", ["none"], "aug=.* is not a valid name"),
        ("study", "x=y", "study=x=y is not a valid name"),
        ("seed", 0.5, "seed=0.5 is not a whole number"),
        ("num_classes", True, "num_classes=True is not a whole number"),
        ("model", None, "model=None: give name, input"),
        ("model.name", "/x", "model.name=/x is not a valid name"),
        ("model.backbone.name", "${oc.env:HOME}", "not plain text"),
        ("model.backbone._target_", "os.system", "a key that is not a setting"),
        ("model.input.mean", torch.zeros(3), "a Tensor is not a plain value"),
        ("model.train", None, "model.train=None: give resize, crop"),
        ("model.train.crop", None, "model.train.crop=null"),
        ("model.train.size", 3, "model.train.size: no such setting"),
        ("model.test.crop", "big", "model.test.crop=big: give a whole number"),
        ("model.test.crop", 10**6, "model.test.crop=1000000: give a whole number"),
        ("model.network", {}, "model.network: no such setting"),
        ("more", 1, "metadata.more: no such setting"),
    ],
)
def test_metadata_of_another_form_name_the_first_fault(
    place: str, value: object, expected: str
) -> None:
    values: Any = make_metadata().as_dict()
    node, (*parents, last) = values, place.split(".")
    for key in parents:
        node = node[key]
    node[last] = value
    with pytest.raises(GenspotError, match=r"^checkpoint=\S+ has invalid metadata: ") as error:
        Metadata.from_dict(values, FILE)
    assert re.search(expected, str(error.value))
    assert str(error.value).isprintable() and len(str(error.value)) < 400


@pytest.mark.parametrize("key", ["data", "num_classes", "aug", "study", "seed", "model"])
def test_metadata_that_lack_a_value_name_it(key: str) -> None:
    values = make_metadata().as_dict()
    del values[key]
    with pytest.raises(GenspotError, match=f"metadata.{key} is missing"):
        Metadata.from_dict(values, FILE)


@pytest.mark.parametrize("version", [None, 1, 3, "2", True, torch.ones(3)])
def test_metadata_of_another_version_are_refused_in_one_line(version: object) -> None:
    values = make_metadata().as_dict() | {"version": version}
    for content in (values, None, [1], {"preprocess": {}, "model": {"network": {}}}):
        with pytest.raises(GenspotError, match="made by another version of genspot") as error:
            Metadata.from_dict(content, FILE)
        assert "\n" not in str(error.value)
