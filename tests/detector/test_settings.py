"""The settings of a model: their checks, and their form in a checkpoint."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.detector.settings import ModelSettings, find_non_plain_value
from helpers.detectors import make_model


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "../x"}, r"model\.name=\.\./x"),
        ({"name": "a b"}, r"model\.name=a b"),
        ({"name": 5}, r"model\.name=5"),
        ({"input": "pixels"}, r"model\.input=pixels has no name"),
        ({"input": {}}, r"model\.input=\{\} has no name"),
        ({"backbone": {"name": None}}, r"model\.backbone=.* has no name"),
        ({"backbone": {"name": "x", "y": "${oc.env:HOME}"}}, r"model\.backbone: .*not plain text"),
        ({"train": Geometry(256, None)}, r"model\.train\.crop=null: training needs a crop"),
        ({"trainable": "body"}, r"model\.trainable=body: choose all or head"),
    ],
)
def test_model_settings_out_of_range_are_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(GenspotError, match=f"^{expected}"):
        make_model(**changes)


def test_model_settings_survive_a_checkpoint_without_initial_weights() -> None:
    backbone = {"name": "resnet", "arch": "resnet18", "weights": "/home/me/weights.pth"}
    model = make_model(backbone=backbone, test=Geometry((64, 48), None), trainable="head")
    values = model.as_dict()
    assert find_non_plain_value(values) is None
    assert values["backbone"]["weights"] is None
    assert backbone["weights"] == "/home/me/weights.pth"
    assert ModelSettings.from_dict(values) == model.without_initial_weights()
    assert model.without_initial_weights().test == Geometry((64, 48), None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, "model=None: give name, input, backbone"),
        ({"name": "x"}, r"model\.input is missing"),
        (make_model().as_dict() | {"net": 1}, r"model\.net: no such setting \(name, input"),
        (make_model().as_dict() | {"train": 5}, r"model\.train=5: give resize, crop"),
        (make_model().as_dict() | {"test": {"side": 5}}, r"model\.test\.side: no such setting"),
    ],
)
def test_model_settings_of_another_form_are_refused(values: object, expected: str) -> None:
    with pytest.raises(GenspotError, match=f"^{expected}"):
        ModelSettings.from_dict(values)


def nested_in_itself() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


def doubled_sixty_times() -> list[Any]:
    values: list[Any] = []
    for _ in range(60):
        values = [values, values]
    return values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${oc.env:HOME}", "not plain text"),
        ("???", "not plain text"),
        ("a\nb", r"'a\\nb' is not plain text"),
        ("x" * 1001, "not plain text"),
        ({"deep": [{"deeper": "${seed}"}]}, "not plain text"),
        ({"a\x1b[2J": 1}, "not plain text"),
        ({1: 2}, "a key that is not a setting"),
        ({"_target_": "os.system"}, "a key that is not a setting"),
        (2**63, "64 bits"),
        (b"bytes", "a bytes is not a plain value"),
        (torch.zeros(3), "a Tensor is not a plain value"),
        (nested_in_itself(), "more than 1000 values"),
        (doubled_sixty_times(), "more than 1000 values"),
    ],
)
def test_find_non_plain_value_names_the_fault(value: object, expected: str) -> None:
    fault = find_non_plain_value({"key": [value]})
    assert fault is not None
    assert fault.isprintable()
    assert len(fault) < 300

    assert re.search(expected, fault)


def test_find_non_plain_value_of_plain_values_is_none() -> None:
    assert (
        find_non_plain_value({"a": [1, -(2**63), 0.5, True, None, "ä [x]=1"], "b": {"c": (1, 2)}})
        is None
    )
