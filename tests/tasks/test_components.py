"""Augmentations of the configuration: one line at the start names what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.tasks.components import make_augmentation
from helpers.errors import error_of
from helpers.settings import tiny
from helpers.tasks import composed, run_task

TRANSFORMS = "aug.train.transforms=[{_target_: albumentations.%s}]"
MISTAKES = {
    "no transforms": ("aug.train.transforms=null", "'NoneType' object is not iterable"),
    "unknown class": (TRANSFORMS % "Blurr", "albumentations.Blurr"),
    "missing argument": (TRANSFORMS % "RandomCrop", "height Field required"),
    "unknown argument": (TRANSFORMS % "HorizontalFlip, prob: 1", "'prob' are not valid"),
    "wrong argument": (TRANSFORMS % "GaussNoise, std_range: wide", "wide"),
    "a function": (
        "aug.train.transforms=[{_target_: hydra.utils.get_method, path: os.getcwd}]",
        "<built-in function getcwd> is no transform of albumentations",
    ),
    "a name": ("aug.train.transforms=[Blur]", "'Blur' is no transform"),
    "no transform": ("aug.train.transforms=[null]", "None is no transform"),
    "exit": ("aug.train.transforms=[{_target_: sys.exit, _args_: [3]}]", "cannot be built: 3"),
    "no composition": ("aug.train._target_=builtins.dict", "aug.train is a dict"),
    "missing split": ("~aug.train", "aug.train is missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_augmentation_that_cannot_be_built_is_one_line(mistake: str, tmp_path: Path) -> None:
    override, expected = MISTAKES[mistake]
    with composed("aug=none", override, folder=tmp_path) as cfg:
        message = error_of(make_augmentation, cfg, "train")
    assert message.startswith("aug.train ") and expected in message


@pytest.mark.parametrize("split", ["train", "val"])
def test_train_with_an_augmentation_that_returns_floats_stops_before_its_first_step(
    split: str, sets: Path, tmp_path: Path
) -> None:
    floats = f"aug.{split}.transforms=[{{_target_: albumentations.Normalize, p: 0.01}}]"
    settings = [*tiny(sets), floats]
    message = error_of(lambda: run_task(*settings, folder=tmp_path / "run"))
    assert message.startswith(f"aug.{split} returns float32 of ")
    assert not list((tmp_path / "run").glob("*.ckpt"))
