"""What tells the classes of small sets apart, each of which has one known fault or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from genspot.common.errors import GenspotError
from genspot.data.audit.probe import probe
from genspot.data.layout import sample_table
from genspot.evaluation import shortcuts
from genspot.evaluation.folds import fold_numbers, scene_names
from genspot.evaluation.shortcut_traits import features, read_values
from genspot.evaluation.shortcuts import (
    ALL,
    Trait,
    judge,
    judgement_of,
    out_of_fold_scores,
)
from helpers import faulty_sets

# Fault → the traits that it may make decisive; the first one must be.
EXPECTED = {
    "format": ["format"],
    "size": ["size"],
    "aspect": ["aspect", "size"],
    "jpeg quality": ["compression", "file size", "JPEG history"],
    "jpeg tables": ["compression", "JPEG history"],
    "subsampling": ["subsampling"],
    "metadata": ["metadata"],
    "colour": ["colour"],
    "sharpness": ["sharpness"],
    "grid phase": ["grid phase"],
    "jpeg history": ["JPEG history"],
}


def samples_of(folder: Path) -> pa.Table:
    return sample_table(
        (str(path), "set", "", label)
        for label, name in enumerate(("0_real", "1_fake"))
        for path in sorted((folder / name).iterdir())
    )


def judged(folder: Path) -> dict[str, Trait]:
    """Return the traits of a set by name."""
    samples = samples_of(folder)
    probes, unreadable = probe(samples, 0, 179, "")
    assert not len(unreadable)
    traits = judge(probes, samples["label"].to_numpy().astype(int), scene_names(samples))
    return {trait.name: trait for trait in traits}


def decisive(traits: dict[str, Trait]) -> set[str]:
    return {name for name, trait in traits.items() if trait.judgement == "decisive"}


def made_probes(labels: np.ndarray, **columns: object) -> pa.Table:
    """Return a table of probes of grey noise whose `columns` are given."""
    rng = np.random.default_rng(0)
    count = len(labels)
    numbers = ("red", "green", "blue")
    table = {
        "row": np.arange(count),
        "format": ["PNG"] * count,
        "mode": ["RGB"] * count,
        "width": [64] * count,
        "height": [64] * count,
        "file_bytes": rng.integers(900, 1000, count),
        "jpeg_quality": pa.nulls(count, pa.float32()),
        "jpeg_tables": pa.nulls(count, pa.string()),
        "subsampling": pa.nulls(count, pa.string()),
        "progressive": pa.nulls(count, pa.bool_()),
        "metadata": [""] * count,
        "software": [""] * count,
        **{f"{name}_{kind}": rng.random(count) for name in numbers for kind in ("mean", "std")},
        **{name: rng.random(count) for name in ("saturation", "chroma", "gradient", "laplacian")},
        "dark_share": [0.0] * count,
        "bright_share": [0.0] * count,
        "high_frequency": rng.random(count),
        "grid_strength": [0.0] * count,
        "grid_quality": pa.nulls(count, pa.float32()),
        "grid_x": pa.nulls(count, pa.int8()),
        "grid_y": pa.nulls(count, pa.int8()),
    }
    return pa.table(table | columns)


def judge_made(labels: np.ndarray, **columns: object) -> dict[str, Trait]:
    scenes = [str(number) for number in range(len(labels))]
    return {trait.name: trait for trait in judge(made_probes(labels, **columns), labels, scenes)}


@pytest.mark.parametrize("fault", faulty_sets.FAULTS)
def test_each_fault_is_decisive_by_its_own_trait_alone(fault: str, tmp_path: Path) -> None:
    faulty_sets.FAULTS[fault](tmp_path)
    traits = judged(tmp_path)
    own, *related = EXPECTED[fault]
    assert own in decisive(traits) and ALL in decisive(traits)
    assert decisive(traits) <= {own, ALL, *related}
    assert traits[own].fix and traits[own].interval[0] >= 0.75
    assert traits[own].content == (own in ("colour", "sharpness"))


@pytest.mark.parametrize("kind", faulty_sets.CLEAN)
def test_a_clean_set_has_no_decisive_trait(kind: str, tmp_path: Path) -> None:
    faulty_sets.CLEAN[kind](tmp_path)
    traits = judged(tmp_path)
    assert not decisive(traits)
    assert sum(trait.judgement == "slight" for trait in traits.values()) <= 2
    for trait in traits.values():
        assert trait.interval[0] <= trait.ap <= trait.interval[1]
        assert bool(trait.fix) == (trait.judgement != "none") and trait.text


def test_texts_count_the_images_of_each_class(tmp_path: Path) -> None:
    faulty_sets.jpeg_history(tmp_path, count=20)
    traits = judged(tmp_path)
    assert "of 20 real images show the blocks of a JPEG compression" in traits["JPEG history"].text
    assert "0 of 20 fakes show the blocks of a JPEG compression" in traits["JPEG history"].text
    assert (
        traits["format"].text == "20 of 20 real images are PNG (RGB); 20 of 20 fakes are PNG (RGB)"
    )
    assert traits["compression"].text == "no image is a JPEG file"


def test_sharpness_says_which_class_is_smoother() -> None:
    labels = np.repeat([0, 1], 20)
    noise = np.random.default_rng(0).random(40)
    text = judge_made(labels, gradient=noise - 3 * labels)["sharpness"].text
    assert text.startswith("what differs most is the energy of the gradient")
    assert text.endswith("of the fakes, which are smoother")


def test_twenty_images_of_each_class_are_enough_for_a_fault_without_exception() -> None:
    labels = np.repeat([0, 1], 20)
    traits = judge_made(labels, format=["PNG"] * 20 + ["JPEG"] * 20)
    assert decisive(traits) == {"format", ALL}


def test_sizes_that_chance_divides_are_seldom_told_apart() -> None:
    found = []
    for seed in range(40):
        rng = np.random.default_rng(10_000 + seed)
        labels = np.arange(120) % 2
        cells = rng.integers(0, 9, 120)[:, None] == np.arange(9)
        rows = np.ones(120, bool)
        groups = np.arange(120)
        folds = fold_numbers(labels, groups, seed)
        measured = shortcuts._measure(cells.astype(float), labels, rows, groups, folds, 0.95, seed)
        found.append(measured.judgement != "none")
    assert sum(found) <= 1


def test_few_images_of_a_class_are_not_judged() -> None:
    labels = np.repeat([0, 1], [200, 9])
    assert judge_made(labels, format=np.where(labels, "PNG", "JPEG")) == {}


def test_a_trait_that_few_images_have_is_not_judged() -> None:
    labels = np.repeat([0, 1], [200, 20])
    jpeg = np.arange(220) < 209  # all reals, nine fakes
    trait = judge_made(
        labels,
        format=np.where(jpeg, "JPEG", "PNG"),
        jpeg_quality=np.where(jpeg, np.where(labels, 75, 90), np.nan),
    )["compression"]
    assert "fewer than 10 different images of a class prove nothing" in trait.text
    assert (trait.judgement, trait.interval) == ("none", [0, 1])
    assert trait.ap == pytest.approx(9 / 209)


def test_a_constant_trait_is_at_chance_and_not_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat([0, 1], [60, 20])
    monkeypatch.setattr(shortcuts, "out_of_fold_scores", lambda *_: pytest.fail("is fitted"))
    constant = shortcuts._measure(
        np.empty((80, 0)), labels, np.ones(80, bool), np.arange(80), np.zeros(80), 0.95, 0
    )
    assert (constant.ap, constant.interval, constant.judgement) == (0.25, [0.25, 0.25], "none")


def test_the_phase_is_judged_among_images_with_a_grid() -> None:
    labels = np.repeat([0, 1], 40)
    bearing = np.arange(80) % 2 == 0
    phase = pa.array(np.where(labels, 3, 0), pa.int8(), mask=~bearing)
    traits = judge_made(labels, grid_x=phase, grid_y=phase)
    assert traits["grid phase"].judgement == "decisive"
    assert (traits["grid phase"].scores[~bearing] == 0.5).all()
    assert traits["JPEG history"].judgement == "none"
    assert "20 of 20 fakes have them begin at (3, 3)" in traits["grid phase"].text


def test_a_trait_that_one_class_lacks_says_so() -> None:
    labels = np.repeat([0, 1], 30)
    phase = pa.array(np.arange(60) % 5, pa.int8(), mask=labels == 1)
    traits = judge_made(labels, grid_x=phase, grid_y=phase)
    assert traits["grid phase"].judgement == "none"
    assert "there are no fakes" in traits["grid phase"].text


def test_one_class_alone_has_no_traits() -> None:
    labels = np.zeros(30, int)
    assert judge(made_probes(labels), labels, ["a"] * 30) == []


def test_confidence_out_of_range_is_refused() -> None:
    labels = np.arange(30) % 2
    with pytest.raises(GenspotError, match=r"confidence=1\.5"):
        judge(made_probes(labels), labels, ["a"] * 30, confidence=1.5)


def test_judging_twice_gives_the_same_and_names_all_columns_last() -> None:
    labels = np.arange(60) % 2
    first, second = (judge_made(labels, saturation=np.arange(60.0)) for _ in range(2))
    assert first == second and [*first][-1] == ALL
    for name, trait in first.items():
        np.testing.assert_array_equal(trait.scores, second[name].scores)


def test_average_precision_is_that_of_scikit_learn_over_the_same_folds() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 150)
    table = made_probes(labels, saturation=labels + rng.normal(0, 1.5, 150))
    values = read_values(table)
    columns = ("saturation", "chroma", "red_mean")
    folds = fold_numbers(labels, np.arange(150), seed=3)
    ranks = features(values, columns)
    forest = ExtraTreesClassifier(
        50, min_samples_leaf=5, max_features=None, class_weight="balanced", random_state=3
    )
    expected = cross_val_predict(
        forest, ranks, labels, cv=PredefinedSplit(folds), method="predict_proba"
    )[:, 1]
    found = out_of_fold_scores(ranks, labels, folds, seed=3)
    np.testing.assert_allclose(found, expected, atol=0.1)  # the order of the rows differs
    trait = next(
        one for one in judge(table, labels, [*map(str, range(150))]) if one.name == "colour"
    )
    assert trait.ap == pytest.approx(average_precision_score(labels, trait.scores))


def test_labels_of_a_fold_do_not_reach_its_scores() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100)
    found = rng.random((100, 3))
    folds = np.arange(100) % 5
    flipped = np.where(folds == 2, 1 - labels, labels)
    scores, others = (out_of_fold_scores(found, one, folds, 0) for one in (labels, flipped))
    np.testing.assert_array_equal(scores[folds == 2], others[folds == 2])
    assert not np.array_equal(scores, others)


def test_folds_whose_complement_has_one_class_have_no_scores() -> None:
    labels = np.repeat([0, 1], 10)
    scores = out_of_fold_scores(np.arange(20.0)[:, None], labels, labels.copy(), 0)
    assert (scores == 0.5).all()


@pytest.mark.parametrize(
    ("lowest", "chance", "expected"),
    [(0.5, 0.5, "none"), (0.51, 0.5, "slight"), (0.75, 0.5, "decisive"), (0.59, 0.2, "slight")],
)
def test_judgement_is_by_the_way_from_chance_to_one(
    lowest: float, chance: float, expected: str
) -> None:
    assert judgement_of(lowest, chance) == expected


def photographs(seed: int, each: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return labels, photographs and colours of images, of which photographs have one label."""
    rng = np.random.default_rng(seed)
    photos = np.repeat(np.arange(40), each)
    names = ("red_mean", "green_mean", "saturation", "chroma", "red_std", "green_std")
    colours = {name: rng.normal(size=40)[photos] for name in names}
    return photos % 2, photos, colours


def test_images_of_one_photograph_do_not_tell_the_classes_apart() -> None:
    labels, photos, colours = photographs(0, 10)
    probes = made_probes(labels, **colours)
    apart, together = (
        next(one for one in judge(probes, labels, groups) if one.name == "colour")
        for groups in (np.arange(400), photos)
    )
    assert apart.judgement == "decisive"  # the classifier knows the photographs
    assert together.judgement == "none"


def test_an_interval_over_photographs_does_not_shrink_with_images_of_each() -> None:
    widths = []
    for each in (1, 10):
        labels, photos, colours = photographs(0, each)
        colours["red_mean"] = colours["red_mean"] + labels
        traits = judge(made_probes(labels, **colours), labels, photos)
        low, high = next(one for one in traits if one.name == "colour").interval
        widths.append(high - low)
    assert widths[1] > 0.6 * widths[0]  # of independent images it would be a third


def test_copies_of_few_images_are_not_judged() -> None:
    labels = np.arange(200) % 2
    probes = made_probes(labels, format=np.where(labels, "PNG", "JPEG"))
    assert judge(probes, labels, np.arange(200) % 18) == []


def test_features_rank_numbers_and_tell_frequent_texts_apart() -> None:
    values = {
        "number": np.array([5.0, np.nan, 7.0, 5.0]),
        "text": np.array(["a", "b", "a", "c"], object),
        "same": np.ones(4),
    }
    found = features(values, ("number", "text", "same"))
    np.testing.assert_allclose(found[:, 0], np.array([2.5, 1, 4, 2.5]) / 4)
    np.testing.assert_array_equal(found[:, 1:].T, [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert features(values, ("same",)).shape == (4, 0)
