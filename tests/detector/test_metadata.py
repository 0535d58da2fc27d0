"""What a checkpoint says of itself and its model, and what is refused of foreign files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.detector.metadata import PUBLISHED, Metadata
from helpers.detectors import make_metadata, make_model

FILE = Path("folder/file.ckpt")
MISSING = object()
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


def test_metadata_survive_a_checkpoint() -> None:
    model = make_model(test=Geometry((64, 48), None), trainable="head")
    own = make_metadata(model, num_classes=3, study="one", seed=7)
    changed = replace(own, changed=("model.weights", "aug.flip"))
    for metadata in (own, replace(own, protocol="fit_256+jpeg_75"), changed, PUBLISHED):
        assert Metadata.from_dict(metadata.as_dict(), FILE) == metadata


def test_metadata_without_a_protocol_are_those_of_older_versions() -> None:
    values = make_metadata().as_dict()
    assert not {"protocol", "changed"} & values.keys()
    assert Metadata.from_dict(values, FILE).protocol == "none"


def test_metadata_leave_out_initial_weights() -> None:
    backbone = {"name": "resnet", "arch": "resnet18", "weights": "/home/me/weights.pth"}
    model = make_model(backbone=backbone)
    loaded = Metadata.from_dict(make_metadata(model).as_dict(), FILE).model
    assert loaded == replace(model, backbone=backbone | {"weights": None})


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("data", None, "data=None is not a valid name"),
        ("data", "../../../x", "data=../../../x is not a valid name"),
        ("data", "a\nb", r"'a\\nb' is not plain text"),
        ("aug", ["none"], "aug=.* is not a valid name"),
        ("study", "x=y", "study=x=y is not a valid name"),
        ("study", MISSING, "metadata.study is missing"),
        ("seed", 0.5, "seed=0.5 is not a whole number"),
        ("seed", 2**63, "64 bits"),
        ("num_classes", True, "num_classes=True is not a whole number"),
        ("protocol", None, "protocol=None is no protocol"),
        ("protocol", "fit_8; rm", "protocol=fit_8; rm is no protocol"),
        ("changed", "aug.flip", "changed=aug.flip are no settings"),
        ("changed", ["x=y"], r"changed=.*x=y.* are no settings"),
        ("changed", [3], r"changed=.*3.* are no settings"),
        ("more", 1, "metadata.more: no such setting"),
        ("model", None, "model=None: give name, input"),
        ("model.name", "/x", "model.name=/x is not a valid name"),
        ("model.name", "???", "not plain text"),
        ("model.input", "pixels", "model.input=pixels has no name"),
        ("model.input.mean", torch.zeros(3), "a Tensor is not a plain value"),
        (
            "model.input.mean",
            [1e39, 0, 0],
            r"model\.input\.mean: 1e\+39 is not finite, or too large",
        ),
        ("model.input.std", [1, 1e-46, 1], r"model\.input\.std: 1e-46 is not finite, or too"),
        ("model.input.std", [1, 1, float("nan")], r"model\.input\.std: nan is not finite"),
        ("model.input.std", [1, 1, 1e-19], r"model\.input\.std: 1e-19 is not finite, or too"),
        ("model.input.x", {"deep": [[float("-inf")]]}, r"model\.input\.x\.deep: -inf is not"),
        ("model.backbone.eps", 1e-40, r"model\.backbone\.eps: 1e-40 is not finite, or too"),
        ("model.backbone", MISSING, "model.backbone is missing"),
        ("model.backbone.name", None, "model.backbone=.* has no name"),
        ("model.backbone.x", {"deep": [{"deeper": "${oc.env:HOME}"}]}, "not plain text"),
        ("model.backbone.x", "x" * 1001, "xx…; take"),
        ("model.backbone.x", {"a\x1b[2J": 1}, "not plain text"),
        ("model.backbone.x", {1: 2}, "a key that is not a setting"),
        ("model.backbone.x", {"_target_": "os.system"}, "a key that is not a setting"),
        ("model.backbone.x", ENDLESS, "more than 1000 values"),
        ("model.train", None, "model.train=None: give resize, crop"),
        ("model.train.crop", None, "model.train.crop=null: training needs a crop"),
        ("model.train.size", 3, "model.train.size: no such setting"),
        ("model.test.crop", 10**6, "model.test.crop=1000000: give a whole number"),
        ("model.trainable", "body", "model.trainable=body: choose all or head"),
        ("model.network", {}, "model.network: no such setting"),
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
    if value is MISSING:
        del node[last]
    with pytest.raises(GenspotError, match=r"^checkpoint=\S+ has invalid metadata: ") as error:
        Metadata.from_dict(values, FILE)
    assert re.search(expected, str(error.value))
    assert str(error.value).isprintable() and len(str(error.value)) < 400


@pytest.mark.parametrize("version", [None, 1, "2", True, torch.ones(3)])
def test_metadata_of_another_version_are_refused(version: object) -> None:
    values = make_metadata().as_dict() | {"version": version}
    for content in (values, None, [1]):
        with pytest.raises(GenspotError, match="made by another version of genspot"):
            Metadata.from_dict(content, FILE)
