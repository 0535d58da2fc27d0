"""Which changed settings change results, and which merely prolong a training."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from genspot.data.settings import DEFAULT_LABELS
from genspot.runtime.changed_settings import (
    changed_places,
    changed_settings,
    describe_changes,
    is_moved,
    split_prolonging,
)

STOPPING = "pytorch_lightning.callbacks.EarlyStopping"


def config(root: str = "/home", output: str = "/home/runs/one") -> dict[str, Any]:
    return {
        "task": {"name": "train", "title": "a"},
        "generator": {
            "sitd": {"path": f"{root}/datasets/sitd", "title": "a", "real_set": "s", "real": "x"}
        },
        "data": {"name": "folder", "train": f"{root}/datasets/train", "classes": ["cat", "dog"]},
        "aug": {"train": {"transforms": [{"p": 0.5, "sigma": [0, 3]}]}},
        "model": {"backbone": {"name": "small", "weights": f"{root}/datasets/start.pth"}},
        "callbacks": {
            "best": {"dirpath": output},
            "stop": {"_target_": STOPPING, "patience": 3},
            "plateau": {"_target_": "genspot.detector.plateau.Plateau", "patience": 3},
        },
        "schedule": {"name": "quick", "max_epochs": 6, "batch_size": 8, "lr_scheduler": None},
        "trainer": {"name": "auto", "max_epochs": 6, "precision": "32-true"},
        "logger": {"logger": {"csv": {"save_dir": output}}},
        "paths": {"root": root, "datasets": f"{root}/datasets", "output": output},
        "checkpoint": None,
        "seed": 0,
        "workers": None,
    }


def changed(**values: Any) -> dict[str, Any]:
    """Return the configuration with values at dotted names, "__" for the dots."""
    tree = config()
    for name, value in values.items():
        *above, last = name.split("__")
        node = tree
        for key in above:
            node = node[int(key)] if isinstance(node, list) else node[key]
        node[last] = value
    return tree


@pytest.mark.parametrize(
    "values",
    [
        {"workers": 2},
        {"logger": {"logger": {}}},
        {"trainer__name": "cpu"},
        {"trainer__log_every_n_steps": 1},
        {"schedule__eval_batch_size": 4},
        {"task__title": "b"},
        {"paths__runs": "/elsewhere"},
        {"generator__sitd__title": "See in the dark"},
        {"generator__sitd__published": {"none": {"ap": 90}}},
        {"generator__sitd__real": "y"},
        {"data__format": "packed"},
    ],
)
def test_settings_without_effect_on_results_are_no_change(values: dict[str, Any]) -> None:
    assert changed_settings(config(), changed(**values)) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"seed": 1}, "seed=0, now 1"),
        ({"trainer__precision": "bf16-mixed"}, "trainer.precision=32-true, now bf16-mixed"),
        ({"data__classes": ["cat"]}, "data.classes=['cat', 'dog'], now ['cat']"),
        ({"data__num_classes": 2}, "data.num_classes=not set, now 2"),
        ({"aug__train__transforms__0__p": 0.1}, "aug.train.transforms.0.p=0.5, now 0.1"),
        ({"generator__sitd__real_set": "t"}, "generator.sitd.real_set=s, now t"),
        ({"trainer__deterministic": True}, "trainer.deterministic=not set, now true"),
        (
            {"model__backbone__weights": "/other/start.pth"},
            "model.backbone.weights=/home/datasets/start.pth, now /other/start.pth",
        ),
        ({"callbacks__best__dirpath": "/a"}, "callbacks.best.dirpath=/home/runs/one, now /a"),
    ],
)
def test_settings_that_change_results_are_named_with_both_values(
    values: dict[str, Any], expected: str
) -> None:
    assert describe_changes(changed_settings(config(), changed(**values))) == expected


def test_description_names_a_few_changes_and_counts_the_others() -> None:
    new = changed(seed=1, data__name="x", data__a=1, data__b="y" * 500, trainer__c=None)
    text = describe_changes(changed_settings(config(), new))
    assert text.endswith("; and 2 more")
    assert len(text) < 400


@pytest.mark.parametrize(
    "moved", [config("/srv", "/srv/runs/one"), config("/home", "/backup/one"), config("/srv/it's")]
)
def test_checkout_or_run_that_was_moved_as_a_whole_is_no_change(moved: dict[str, Any]) -> None:
    assert changed_settings(config(), moved) == []
    assert all(is_moved(place, config(), moved) for place in changed_places(config(), moved))


def test_folder_beside_a_moved_one_is_another() -> None:
    """/home/datasets2 begins like /home/datasets."""
    new = changed(model__backbone__weights="/home/datasets2/start.pth")
    assert len(changed_settings(config(), new)) == 1


def test_other_folder_of_images_is_a_changed_place_and_no_changed_setting() -> None:
    new = changed(data__train="/new/train", generator__sitd__path="/new/sitd", checkpoint="a.ckpt")
    assert changed_settings(config(), new) == []
    places = {place.setting for place in changed_places(config(), new)}
    assert places == {"data.train", "generator.sitd.path", "checkpoint"}
    assert not any(is_moved(place, config(), new) for place in changed_places(config(), new))


def prolong(old: dict[str, Any], epochs: int, **values: Any) -> tuple[list[str], str]:
    new = copy.deepcopy(old)
    for name, value in values.items():
        *above, last = name.split("__")
        node = new
        for key in above:
            node = node[key]
        node[last] = value
    others, fault = split_prolonging(changed_settings(old, new), new, epochs)
    return [change.setting for change in others], fault


def test_more_epochs_and_more_patience_prolong_a_training() -> None:
    epochs = {"schedule__max_epochs": 9, "trainer__max_epochs": 9}
    assert prolong(config(), 6, **epochs) == ([], "")
    assert prolong(config(), 6, callbacks__stop__patience=4) == ([], "")
    assert prolong(config(), 6, **epochs, seed=3) == (["seed"], "")


def test_fewer_epochs_than_have_started_are_refused_and_others_go_on() -> None:
    fewer = {"schedule__max_epochs": 4, "trainer__max_epochs": 4}
    assert prolong(config(), 4, **fewer) == ([], "")
    others, fault = prolong(config(), 5, **fewer)
    assert others == []
    assert fault == (
        "schedule.max_epochs=6, now 4: 5 epochs have started already; give "
        "schedule.max_epochs=5 or more"
    )


def test_learning_rate_over_all_epochs_forbids_other_numbers_of_them() -> None:
    old = changed(schedule__lr_scheduler={"_target_": "torch.optim.lr_scheduler.OneCycleLR"})
    others, fault = prolong(old, 2, schedule__max_epochs=9, trainer__max_epochs=9)
    assert others == []
    assert "laid out over the number of epochs; keep schedule.max_epochs=6" in fault


@pytest.mark.parametrize(
    ("name", "value"), [("callbacks__stop__patience", 2), ("callbacks__plateau__patience", 9)]
)
def test_less_patience_and_that_of_other_rules_do_not_prolong(name: str, value: int) -> None:
    assert prolong(config(), 6, **{name: value})[0] == [name.replace("__", ".")]


@pytest.mark.parametrize("name", ["stop", "plateau"])
def test_callback_that_is_gone_or_new_is_a_changed_setting(name: str) -> None:
    old, new = config(), config()
    del new["callbacks"][name]
    for before, now in ((old, new), (new, old)):
        others, fault = split_prolonging(changed_settings(before, now), now, 2)
        assert f"callbacks.{name}.patience" in [change.setting for change in others]
        assert fault == ""


def test_run_of_an_older_version_had_no_protocol() -> None:
    assert changed_settings(config(), changed(protocol="none")) == []
    changes = changed_settings(config(), changed(protocol="fit_256"))
    assert describe_changes(changes) == "protocol=none, now fit_256"


def test_run_of_an_older_version_had_the_usual_names_of_labels() -> None:
    usual = {"real": list(DEFAULT_LABELS.real), "fake": list(DEFAULT_LABELS.fake)}
    assert changed_settings(config(), changed(labels=usual)) == []


def test_other_names_of_labels_are_a_change() -> None:
    old, new = (
        changed(labels={"real": ["a"], "fake": ["b"]}),
        changed(labels={"real": ["b"], "fake": ["a"]}),
    )
    assert describe_changes(changed_settings(old, new)) == (
        "labels.real=['a'], now ['b']; labels.fake=['b'], now ['a']"
    )


@pytest.mark.parametrize("setting", ["prior", "calibration", "fpr", "reference"])
def test_prediction_with_another_setting_of_its_answers_is_a_change(setting: str) -> None:
    assert changed_settings(config(), changed(**{setting: None})) == []
    changes = changed_settings(config(), changed(**{setting: 0.2}))
    assert describe_changes(changes) == f"{setting}=null, now 0.2"
