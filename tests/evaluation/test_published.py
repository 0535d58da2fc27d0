"""Published figures are given for comparable detectors only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genspot.evaluation.metrics import evaluate
from genspot.evaluation.published import (
    Baseline,
    annotate,
    mean_figures,
    notes_on_changes,
    published_reference,
)
from helpers.scores import make_scores

ROW = Baseline(
    name="paper2020",
    title="A paper",
    row="main",
    source="Table 2",
    link="https://example.org",
    rerun=False,
    model="resnet50",
    data="progan_20cls",
    aug="none",
    resize=None,
    crop=224,
    ap={"stargan": 98.1, "san": 90.0},
    acc={"stargan": 91.7},
    unconfirmed=frozenset({"stargan"}),
)
TRAINED_ON: dict[str, Any] = {
    "data": "progan_20cls",
    "num_classes": None,
    "aug": "none",
    "model": {"name": "resnet50", "test": {"resize": None, "crop": 224}},
}
NPR = {"name": "npr", "test": {"resize": [256, 256], "crop": None}}


@pytest.mark.parametrize(
    ("of_row", "changes", "crop", "expected"),
    [
        ({}, {}, 224, True),
        ({}, {"num_classes": None, "study": "x", "seed": 3}, 224, True),
        ({}, {"model": {"name": "resnet50"}}, 224, True),  # a checkpoint of few words
        ({}, {"model": {"name": "resnet18"}}, 224, False),
        ({}, {"data": "progan_4cls"}, 224, False),
        ({}, {"num_classes": 4}, 224, False),
        ({}, {"aug": "jpg_0.5"}, 224, False),
        ({}, {"aug": None}, 224, False),
        ({}, {"protocol": "fit_256"}, 224, False),
        ({}, {"protocol": "none"}, 224, True),
        ({}, {}, 128, False),
        ({}, {}, None, False),
        ({"crop": None}, {}, None, True),
        ({"crop": None}, {}, 224, False),
        ({"aug": None}, {"aug": "jpg_0.5"}, 224, True),  # the source does not say
        ({"aug": None}, {"aug": None}, 224, False),  # nor does the file
        ({}, {"changed": []}, 224, True),
        ({}, {"changed": ["model.weights"]}, 224, False),  # fine-tuned
        ({"aug": None}, {"changed": ["data.classes"]}, 224, False),
        ({"model": "npr", "crop": None}, {"model": NPR}, None, False),
        ({"model": "npr", "crop": None, "resize": (256, 256)}, {"model": NPR}, None, True),
        ({"model": "npr", "crop": None, "resize": 256}, {"model": NPR}, None, False),
        ({"resize": (256, 256)}, {}, 224, False),
    ],
)
def test_baseline_matches_a_detector_of_its_conditions(
    of_row: dict[str, Any], changes: dict[str, Any], crop: int | None, expected: bool
) -> None:
    assert replace(ROW, **of_row).matches(TRAINED_ON | changes, crop) is expected


def test_note_names_what_alone_sets_a_training_apart() -> None:
    changed = TRAINED_ON | {"changed": ["data.classes", "aug.flip"]}
    assert notes_on_changes([ROW], changed, 224) == [
        "Nothing published stands beside the figures: the training changed data.classes, aug.flip."
    ]
    assert notes_on_changes([ROW], changed, 128) == notes_on_changes([ROW], TRAINED_ON, 224) == []


def test_baseline_gives_fractions_of_the_generators_that_it_has() -> None:
    about = {"name": "paper2020", "title": "A paper", "row": "main", "source": "Table 2"}
    about |= {"link": "https://example.org", "rerun": False, "aug": "none"}
    expected = about | {"ap": pytest.approx(0.981), "acc": pytest.approx(0.917)}
    assert ROW.figures("stargan") == expected | {"unconfirmed": True}
    assert ROW.figures("san") == about | {"ap": 0.9, "acc": None, "unconfirmed": False}
    only_accuracy = replace(ROW, ap={}, acc={"sitd": 50.0}).figures("sitd")
    assert only_accuracy is not None and (only_accuracy["ap"], only_accuracy["acc"]) == (None, 0.5)
    assert ROW.figures("sitd") is None and ROW.figures(None) is None


def baseline(name: str, ap: float | None, acc: float | None = None, **about: Any) -> Any:
    figures = {"name": name, "row": "main", "ap": ap, "acc": acc}
    return {**figures, "rerun": False, "unconfirmed": False, **about}


def test_reference_is_the_first_original_that_has_an_ap() -> None:
    first, second = baseline("b", 0.8, 0.7, unconfirmed=True), baseline("c", 0.9)
    others = [baseline("a", 0.6, rerun=True), baseline("a", None, 0.5)]
    expected = {"ap": 0.8, "acc": 0.7, "unconfirmed": True}
    assert published_reference([*others, first, second]) == expected
    assert published_reference(others) is None


def test_mean_figures_are_of_rows_with_all_generators() -> None:
    generators = [
        {"baselines": [baseline("a", 0.6), baseline("b", 0.8, 0.5, rerun=True)]},
        {"baselines": [baseline("b", 1.0, 0.9, unconfirmed=True), baseline("c", 0.9)]},
    ]
    means = mean_figures(generators)
    (one,) = means["baselines"]
    assert (one["name"], one["rerun"], one["unconfirmed"]) == ("b", True, True)
    assert (one["ap"], one["acc"]) == (pytest.approx(0.9), pytest.approx(0.7))
    assert means["published"] is None  # of re-runs alone
    assert mean_figures([]) == {"published": None, "baselines": []}
    lacking = [{"baselines": [baseline("a", 0.6)]}, {"baselines": [baseline("a", None, 0.5)]}]
    assert mean_figures(lacking)["baselines"] == []  # no measure of both


def test_mean_of_one_measure_is_kept_where_the_other_is_incomplete() -> None:
    parts = [{"baselines": [baseline("a", 0.6, 0.5)]}, {"baselines": [baseline("a", 0.8)]}]
    means = mean_figures(parts)
    assert means["published"] == {"ap": pytest.approx(0.7), "acc": None, "unconfirmed": False}


@pytest.mark.parametrize(
    ("rows", "changes", "has_reference", "mean"),
    [
        ([ROW], [], True, {"ap": 0.9405, "acc": None, "unconfirmed": True}),
        ([replace(ROW, ap={"stargan": 98.1})], [], True, None),  # b has no reference
        ([], [], False, None),
        ([ROW], [["jpeg_50"]], False, None),
        ([ROW], [[], "fit_256"], False, None),
    ],
)
def test_annotate_adds_counts_and_references(
    rows: list[Baseline], changes: list[Any], has_reference: bool, mean: dict[str, Any] | None
) -> None:
    images = [(name, "", f"{k}.png", k % 2, float(k)) for name in "abc" for k in range(4)]
    scores = make_scores(images).append_column("padded", [[True, True, *[False] * 9, True]])
    scores = scores.slice(0, 8)
    metrics: dict[str, Any] = dict(evaluate(scores, ["a", "b"]))
    spec = {"title": "StarGAN", "images": 4, "key": "stargan"}
    specs = {"a": spec, "b": spec | {"key": "san", "unconfirmed": ["year", "images"]}}
    annotate(metrics, specs, scores, scores.slice(0, 3), scores.slice(0, 1), rows, *changes)
    figures = metrics["generators"]["a"]
    assert (figures["title"], figures["expected"]) == ("StarGAN", 4)
    assert (figures["padded"], figures["unreadable"], figures["left_out"]) == (2, 4, 1)
    assert metrics["generators"]["b"]["unreadable"] == 0
    assert metrics["generators"]["b"]["expected"] is None  # an unconfirmed number of images
    assert (figures["published"] is not None) == has_reference
    assert [one["name"] for one in figures["baselines"]] == ["paper2020"] * has_reference
    assert metrics["mean"]["published"] == (mean and pytest.approx(mean))


def test_set_of_the_users_own_has_no_published_figures() -> None:
    scores = make_scores([("stargan", "", f"{k}.png", k % 2, float(k)) for k in range(4)])
    scores = scores.append_column("padded", [[False] * 4])
    metrics: dict[str, Any] = dict(evaluate(scores))
    specs = {"stargan": {"title": "mine", "images": None, "key": None}}
    annotate(metrics, specs, scores, scores.slice(4), scores.slice(4), [ROW])
    assert metrics["generators"]["stargan"]["baselines"] == []
