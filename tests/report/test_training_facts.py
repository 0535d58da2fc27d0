"""Settings of a training in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genspot.report.runs import Run
from genspot.report.training_facts import training_facts, words
from helpers.report_runs import make_run

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-4, "betas": [0.9, 0.999]}
BLUR = {"_target_": "genspot.augment.blur.Blur", "sigma": [0, 3], "p": 0.1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = {
        "name": "npr",
        "input": {"name": "npr"},
        "backbone": {"name": "two_stage", "width": 8},
    }
    train = {"resize": [256, 200], "crop": 224}
    return make_run(
        tmp_path_factory.mktemp("facts") / "run",
        training_images={"real": 1200, "fake": 1199},
        trained_on={"model": model | {"train": train}, "changed": ["data.classes"], "seed": 3},
        validation={"ap": 0.9, "acc": 0.75, "loss": None},
    )


def facts(run: Run, training: dict[str, Any]) -> dict[str, str]:
    found = training_facts(run, training)
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ADAM, "Adam (lr 0.0001, betas [0.9, 0.999])"),
        ({"_target_": "torch.optim.SGD"}, "SGD"),
        ({"name": "pixels", "mean": [0.5]}, "pixels (mean [0.5])"),
        ({"a": None, "b": True}, "a none, b yes"),
        ({}, "none"),
        (False, "no"),
        (64, "64"),
        ("bf16-mixed", "bf16-mixed"),
        ("/home/jane/weights.pth", "weights.pth"),
        ("~/weights.pth", "weights.pth"),
        ("published/blur_jpg_0.1", "published/blur_jpg_0.1"),
        ([["/a/b", 1.5]], "[[b, 1.5]]"),
    ],
)
def test_words_of_a_setting(value: object, expected: str) -> None:
    assert words(value) == expected


def test_facts_of_a_training_that_is_not_known_are_those_of_the_checkpoint(run: Run) -> None:
    found = facts(run, {})
    assert found["recipe"] == "not recorded"
    assert found["model"] == "npr: two_stage (width 8)"
    assert found["training images"] == "simulated (1,200 real and 1,199 fake)"
    assert found["prepared"] == "resized to 256 × 200, then random crop of 224 × 224 pixels"
    assert (found["seed"], found["changed settings"]) == ("3", "data.classes")
    assert found["validation"] == "ap 90.0%, acc 75.0%"


def test_facts_that_a_published_file_does_not_tell_are_not_invented(tmp_path: Path) -> None:
    unknown = make_run(tmp_path / "run", seed=5, trained_on={"aug": None, "seed": None})
    found = facts(unknown, {})
    for term in ("augmentation", "seed", "recipe", "software of the test", "genspot of the test"):
        assert found[term] == "not recorded", term


def test_facts_of_a_known_training_are_its_settings(run: Run) -> None:
    schedule = {"name": "step", "batch_size": 32, "eval_batch_size": 64, "max_epochs": 50}
    schedule |= {"optimizer": ADAM, "lr_scheduler": None, "label_smoothing": 0.1}
    training = {
        "aug": {"name": "blur", "train": {"transforms": [BLUR]}, "flip": 0},
        "schedule": schedule,
        "model": {"backbone": {"weights": "imagenet"}},
        "trainer": {"precision": "bf16-mixed", "gradient_clip_val": None, "devices": 1},
        "callbacks": {"best": {"monitor": "val/acc"}},
    }
    found = facts(run, training)
    assert found["augmentation"] == "blur: Blur (sigma [0, 3], p 0.1)"
    assert found["horizontal flip"] == "probability 0"
    assert (found["batch size"], found["epochs, at most"]) == ("32", "50")
    assert found["optimiser"] == "Adam (lr 0.0001, betas [0.9, 0.999])"
    assert found["label smoothing"] == "0.1" and found["precision"] == "bf16-mixed"
    assert (found["initial weights"], found["kept epoch"]) == (
        "imagenet",
        "that of the best val/acc",
    )
    assert not {"name", "eval batch size", "learning-rate schedule", "recipe"} & found.keys()


def test_facts_of_a_training_that_keeps_its_last_epoch(run: Run) -> None:
    found = facts(run, {"callbacks": {"best": {"monitor": None}}})
    assert (found["kept epoch"], found["initial weights"]) == ("the last", "random")
    assert found["horizontal flip"] == "probability 0.5"  # as without the setting
