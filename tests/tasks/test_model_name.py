"""A model's name says what it is, also where the command line changes its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.tasks.config import model_settings
from genspot.tasks.model_name import check_model_name
from helpers.errors import error_of
from helpers.settings import SEARCH_PATH
from helpers.tasks import composed


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=resnet18"], "resnet18"),
        (["model=resnet18", "model.backbone.arch=resnet34"], "resnet34"),
        (["model=resnet50", "model.backbone={arch: resnet18, weights: null}"], "resnet18"),
        (["model=resnet50", "model.backbone={name: resnet, arch: resnet101}"], "resnet101"),
        (["model=resnet50_antialiased", "model.backbone.weights=null"], "resnet50_antialiased"),
        (["model=timm", "model.arch=test_vit"], "timm_test_vit"),
        (["model=timm", "model.arch=x", "model.backbone.arch=test_vit"], "timm_test_vit"),
        (["model=resnet18", "model.input.mean=[0,0,0]", "model.trainable=head"], "resnet18"),
        (["model=resnet18", "model.backbone.name=timm", "model.name=mine"], "mine"),
        (["model=small", SEARCH_PATH], "small"),
    ],
)
def test_name_follows_the_architecture(
    overrides: list[str], expected: str, tmp_path: Path
) -> None:
    with composed(*overrides, folder=tmp_path) as cfg:
        check_model_name(cfg)
        assert model_settings(cfg).name == expected


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        (["model=resnet18", "model.backbone.name=timm"], "model.backbone.name=timm"),
        (["model=resnet50", "model.backbone={name: timm}"], "model.backbone.name=timm"),
        (["model=resnet50", "model.input.name=residual"], "model.input.name=residual"),
        (["model=resnet50", "+model.backbone._target_=a.B"], "model.backbone._target_=a.B"),
        (["model=small", SEARCH_PATH, "model.backbone._target_=a.B"], "_target_=a.B"),
    ],
)
def test_another_part_under_the_name_of_a_model_is_refused(
    overrides: list[str], setting: str, tmp_path: Path
) -> None:
    with composed(*overrides, folder=tmp_path) as cfg:
        message = error_of(check_model_name, cfg)
    assert f"{setting} makes another model of {overrides[0]}, which tables would call" in message
    assert message.endswith("name it, model.name=NAME")
