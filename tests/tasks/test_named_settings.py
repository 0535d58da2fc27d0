"""A training that departs from what its names say is recorded, and not compared with others."""

from __future__ import annotations

import pytest

from genspot.detector.published_files import PUBLISHED_FILES
from genspot.tasks import config
from genspot.tasks.named_settings import changed_settings
from helpers.settings import ROOT
from helpers.tasks import composed

NPR = ["recipe=npr", "data=progan_4cls"]
MINE = "{_target_: albumentations.HorizontalFlip, p: 0.1}"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ()),
        (NPR, ()),
        (["recipe=zhang_image", "data=cyclegan"], ()),  # which sets aug.flip itself
        (["experiments=quickstart"], ()),
        ([*NPR, "data.classes=[car,cat,chair,horse]", "aug.flip=0.5"], ()),
        ([*NPR, "schedule.max_epochs=3", "paths.train=elsewhere"], ()),
        ([*NPR, "model.weights=a.pth"], ("model.weights",)),
        ([*NPR, "data.classes=[car]"], ("data.classes",)),
        ([*NPR, "aug.flip=0"], ("aug.flip",)),
        (["aug=jpg_0.5", f"aug.train.transforms=[{MINE}]"], ("aug.train",)),
        (
            [*NPR, "model.weights=a.pth", "data.classes=any", "aug.flip=0"],
            ("model.weights", "data.classes", "aug.flip"),
        ),
    ],
)
def test_changed_settings_are_those_that_names_do_not_say(
    overrides: list[str], expected: tuple[str, ...]
) -> None:
    with composed(*overrides, folder=ROOT) as cfg:
        assert changed_settings(cfg) == expected


def rows(*overrides: str) -> list[str]:
    """Return the rows that a run of `overrides` may be compared with."""
    with composed(*overrides, folder=ROOT) as cfg:
        found = config.test_settings(cfg, config.model_settings(cfg)).baselines
    return [f"{one.name} {one.row}" for one in found]


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["model=ferretnet_b"], 1),
        (["model=ferretnet_b", "model.test.crop=224"], 1),  # a condition of each row
        (["model=ferretnet_b", "model.backbone.width=32"], 0),
        (["model=ferretnet_b", "model.backbone.depth=1"], 0),
        (["model=ferretnet_b", "model.input.mean=[0.5,0.5,0.5]"], 0),
        (["model=ferretnet_b", "model.train.crop=128"], 0),
        (["model=resnet50", "model.backbone.weights=null"], 13),
        (["model=resnet50", "model.trainable=head"], 0),
        (["model=resnet18", "model.backbone.arch=resnet50"], 13),  # named after it
        (["model=univfd", "model.backbone.encoder_weights=a.pt"], 2),
        (["model=resnet18"], 0),
        (["model=resnet18", "model.name=fatformer"], 2),  # there is no file of this name
    ],
)
def test_rows_are_of_models_with_the_settings_of_their_file(
    overrides: list[str], count: int
) -> None:
    assert len(rows("data=progan_4cls", *overrides)) == count


@pytest.mark.parametrize(
    "file", PUBLISHED_FILES, ids=lambda file: f"{file.metadata.model.name}_{file.title[:4]}"
)
def test_file_of_a_published_form_is_compared_once_its_augmentation_is_named(file) -> None:
    name, trained_on = file.metadata.model.name, file.metadata.as_dict()
    with composed(f"model={name}", f"data={file.metadata.data}", folder=ROOT) as cfg:
        found = config.test_settings(cfg, file.metadata.model).baselines
        aug = cfg.aug.name if name == "resnet50" else {"safe": "safe"}.get(name, "none")
    crop = file.metadata.model.test.crop
    assert not any(one.matches(trained_on, crop) for one in found)
    matching = [one.name for one in found if one.matches(trained_on | {"aug": aug}, crop)]
    expected = {"npr": 2, "safe": 1, "ferretnet_b": 1, "resnet50": 1}
    assert len(matching) == expected.get(name, 0)
