"""Published figures are given for comparable detectors only."""

from __future__ import annotations

from typing import Any

import pytest

from genspot.evaluation.bootstrap import Bootstrap
from genspot.evaluation.metrics import evaluate
from genspot.evaluation.published import annotate, published_reference
from helpers.scores import make_scores

SPEC = {
    "title": "StarGAN",
    "images": 4,
    "published": {
        "blur_jpg_0.5": {"acc": 91.7, "ap": 98.1, "acc_uncropped": 92, "ap_uncropped": 98.5},
        "none": {"ap": 100.0, "unconfirmed": True},
        "progan_4cls": {"ap": 93.0, "unconfirmed": True},
    },
}
TRAINED_ON: dict[str, Any] = {
    "data": "progan_20cls",
    "num_classes": None,
    "aug": "blur_jpg_0.5",
    "model": {"name": "resnet50"},
}


@pytest.mark.parametrize(
    ("changes", "crop", "expected"),
    [
        ({}, 224, (0.981, 0.917, False)),
        ({}, None, (0.985, 0.92, False)),
        ({"aug": "none"}, 224, (1.0, None, True)),
        ({"data": "progan_4cls"}, 224, (0.93, None, True)),
    ],
)
def test_reference_is_chosen_by_training_and_crop(
    changes: dict[str, Any], crop: int | None, expected: tuple[Any, ...]
) -> None:
    reference = published_reference(SPEC, TRAINED_ON | changes, crop)
    assert reference is not None
    found = (reference["ap"], reference["acc"], reference["unconfirmed"])
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "crop"),
    [
        ({"model": {"name": "resnet18"}}, 224),
        ({"num_classes": 4}, 224),
        ({"data": "simulated"}, 224),
        ({"data": "progan_4cls", "aug": "none"}, 224),
        ({"aug": "jpg_0.5"}, 224),
        ({"aug": None}, 224),
        ({"aug": "none"}, None),
        ({}, 128),
    ],
)
def test_reference_of_another_training_or_crop_is_none(
    changes: dict[str, Any], crop: int | None
) -> None:
    assert published_reference(SPEC, TRAINED_ON | changes, crop) is None


def annotated(aug: str, **options: Any) -> dict[str, Any]:
    rows = [(name, "", f"{k}.png", k % 2, float(k)) for name in "ab" for k in range(4)]
    scores = make_scores(rows)
    scores = scores.append_column(
        "padded", [[True, True, False, False, False, False, False, True]]
    )
    unreadable = scores.slice(0, 3)
    metrics = dict(evaluate(scores, ["a", "b"], Bootstrap(replicates=5)))
    other = SPEC | {"published": {"blur_jpg_0.5": {"acc": 80.0, "ap": 90.0}}}
    trained_on = TRAINED_ON | {"aug": aug}
    annotate(metrics, {"a": SPEC, "b": other}, scores, unreadable, trained_on, 224, **options)
    return metrics


def test_annotate_adds_counts_and_references() -> None:
    metrics = annotated("blur_jpg_0.5")
    figures = metrics["generators"]["a"]
    assert (figures["title"], figures["expected"]) == ("StarGAN", 4)
    assert (figures["padded"], figures["unreadable"]) == (2, 3)
    assert metrics["generators"]["b"]["unreadable"] == 0
    mean = metrics["mean"]["published"]
    assert mean == pytest.approx({"ap": 0.9405, "acc": 0.8585, "unconfirmed": False})


def test_annotate_mean_needs_a_reference_of_every_generator() -> None:
    metrics = annotated("none")
    assert metrics["generators"]["a"]["published"] is not None
    assert metrics["mean"]["published"] is None


def test_annotate_degraded_images_have_no_reference() -> None:
    metrics = annotated("blur_jpg_0.5", degradations=["jpeg_50"])
    assert metrics["generators"]["a"]["published"] is None
    assert metrics["mean"]["published"] is None
