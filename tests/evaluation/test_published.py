"""Published figures are given for comparable detectors only."""

from __future__ import annotations

from typing import Any

import pytest

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
        ({"model": {"name": "resnet18"}}, 224, None),
        ({"num_classes": 4}, 224, None),
        ({"data": "simulated"}, 224, None),
        ({"data": "progan_4cls", "aug": "none"}, 224, None),
        ({"aug": "jpg_0.5"}, 224, None),
        ({"aug": None}, 224, None),
        ({"protocol": "fit_256"}, 224, None),
        ({"aug": "none"}, None, None),
        ({}, 128, None),
    ],
)
def test_reference_is_chosen_by_training_and_crop(
    changes: dict[str, Any], crop: int | None, expected: tuple[Any, ...] | None
) -> None:
    reference = published_reference(SPEC, TRAINED_ON | changes, crop)
    if expected is None:
        assert reference is None
    else:
        keys = ("ap", "acc", "unconfirmed")
        assert reference == pytest.approx(dict(zip(keys, expected, strict=True)))


@pytest.mark.parametrize(
    ("aug", "changes", "has_reference", "mean"),
    [
        ("blur_jpg_0.5", [], True, {"ap": 0.9405, "acc": 0.8585, "unconfirmed": False}),
        ("none", [], True, None),  # b has no reference
        ("blur_jpg_0.5", [["jpeg_50"]], False, None),
        ("blur_jpg_0.5", [[], "fit_256"], False, None),
    ],
)
def test_annotate_adds_counts_and_references(
    aug: str, changes: list[Any], has_reference: bool, mean: dict[str, Any] | None
) -> None:
    rows = [(name, "", f"{k}.png", k % 2, float(k)) for name in "ab" for k in range(4)]
    scores = make_scores(rows).append_column("padded", [[True, True, *[False] * 5, True]])
    metrics: dict[str, Any] = dict(evaluate(scores, ["a", "b"]))
    other = {"blur_jpg_0.5": {"acc": 80.0, "ap": 90.0}}
    specs = {"a": SPEC, "b": SPEC | {"published": other, "unconfirmed": ["year", "images"]}}
    trained_on = TRAINED_ON | {"aug": aug}
    annotate(
        metrics,
        specs,
        scores,
        scores.slice(0, 3),
        scores.slice(0, 1),
        trained_on,
        224,
        *changes,
    )
    figures = metrics["generators"]["a"]
    assert (figures["title"], figures["expected"]) == ("StarGAN", 4)
    assert (figures["padded"], figures["unreadable"], figures["left_out"]) == (2, 4, 1)
    assert metrics["generators"]["b"]["unreadable"] == 0
    assert metrics["generators"]["b"]["expected"] is None  # an unconfirmed number of images
    assert (figures["published"] is not None) == has_reference
    assert metrics["mean"]["published"] == (mean and pytest.approx(mean))
