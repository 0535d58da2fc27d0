from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genspot.evaluation.intervals import ap_over_seeds, paired_difference
from genspot.report.comparison import differences, over_seeds, seed_groups
from genspot.report.page import render_report
from genspot.report.runs import Run
from genspot.report.tables import format_signed
from helpers.report_runs import GENERATORS, make_run, make_training, with_photographs

ONE = {"generators": GENERATORS[:1]}


def group_names(*runs: Run) -> list[list[str]]:
    return [[run.folder.name for run in group] for group in seed_groups(runs)]


def test_differences_hold_the_ap_difference_and_a_paired_interval(ablation) -> None:
    first, second = ablation.runs[:2]
    (difference,) = differences([first, second])
    assert difference["paired"]
    names = [name for name in GENERATORS if name != "only_fakes"]
    cells = dict(zip(["mean", *names], difference["cells"], strict=True))
    assert cells.pop("empty") == ("–", False)
    for name, (cell, excludes_zero) in cells.items():
        shown, low, high = (float(part.replace("−", "-").strip(",[]")) for part in cell.split())
        expected = 100 * (second.results[name]["ap"] - first.results[name]["ap"])
        assert shown == pytest.approx(expected, abs=0.051)
        assert low <= shown <= high
        assert excludes_zero == (low > 0 or high < 0)


def test_differences_and_seeds_are_over_photographs_where_these_are_drawn(tmp_path) -> None:
    runs = [make_training(tmp_path / str(seed), seed, **ONE) for seed in (0, 1)]
    drawn = [with_photographs(run) for run in runs]
    scores, confidence, clusters = [run.scores for run in drawn], 0.95, drawn[0].clusters
    (group,) = over_seeds(drawn)
    pooled = ap_over_seeds(scores, confidence, None, clusters)["mean"]["interval"]
    assert group.results["mean"]["ap_interval"] == pooled
    assert pooled != over_seeds(runs)[0].results["mean"]["ap_interval"]
    pair = paired_difference(scores[1], scores[0], confidence, None, clusters)["mean"]
    texts = [format_signed(end) for end in pair["interval"]]
    assert differences(drawn)[0]["cells"][0][0].endswith(f" [{', '.join(texts)}]")
    assert differences(drawn) != differences(runs)


def test_differences_of_means_need_the_same_generators(tmp_path) -> None:
    runs = [make_run(tmp_path / str(count), generators=GENERATORS[:count]) for count in (2, 1)]
    (difference,) = differences(runs)
    assert not difference["paired"]
    assert difference["cells"][0] == ("–", False)
    assert difference["cells"][1][0] != "–"


def test_over_seeds_does_not_depend_on_the_order_of_the_runs(trainings) -> None:
    groups, reverse = over_seeds(trainings.runs), over_seeds(trainings.runs[::-1])
    assert [group.results for group in groups] == [group.results for group in reverse[::-1]]
    labels = ["none over 3 seeds", "größer & <besser> over 3 seeds"]
    assert [group.label for group in groups] == labels


@pytest.mark.parametrize(
    "other",
    [
        {"trained_on": {"aug": "jpg_0.5"}},
        {"trained_on": {"num_classes": 2}},
        {"trained_on": {"study": "quickstart"}},
        {"trained_on": {"model": {"name": "resnet18", "train": {"crop": 24}}}},
        {"crop": None},
        {"degradations": ["jpeg_50"]},
    ],
    ids=str,
)
def test_seed_groups_with_another_choice_are_separate(
    other: dict[str, Any], tmp_path: Path
) -> None:
    first, third = (make_training(tmp_path / str(seed), seed, **ONE) for seed in (0, 2))
    second = make_training(tmp_path / "1", 1, **ONE, **other)
    assert group_names(first, second, third) == [["0", "2"]]


def test_seed_groups_with_other_images_are_separate(tmp_path: Path) -> None:
    first, fewer = (
        make_training(tmp_path / str(count), count, generators=GENERATORS[:count])
        for count in (2, 1)
    )
    elsewhere, beside = (
        make_training(tmp_path / str(seed), seed, images=tmp_path / "others", **ONE)
        for seed in (3, 4)
    )
    assert group_names(first, elsewhere, fewer, beside) == [["3", "4"]]
    files = render_report([first, elsewhere, fewer], "Other images")
    assert not any("over seeds" in text.lower() for text in files.values())


def test_seed_groups_count_a_checkpoint_once(tmp_path: Path) -> None:
    first, second = (make_training(tmp_path / str(seed), seed, **ONE) for seed in (0, 1))
    again = make_training(tmp_path / "again", 0, checkpoint=first.metrics["checkpoint"], **ONE)
    assert group_names(first, first, again) == []
    assert group_names(first, again, second, first) == [["0", "1"]]


def test_seed_groups_omit_two_trainings_with_one_seed(tmp_path: Path) -> None:
    runs = [make_training(tmp_path / str(seed), seed, **ONE) for seed in (0, 1)]
    assert group_names(*runs, make_training(tmp_path / "other", 1, **ONE)) == []


def test_seed_groups_omit_unknown_seeds_and_runs_without_any_ap(tmp_path: Path) -> None:
    unknown = [
        make_run(tmp_path / str(seed), trained_on={"seed": None}, seed=seed) for seed in (0, 1)
    ]
    assert [run.choices["seed"] for run in unknown] == ["seed 0", "seed 1"]
    assert group_names(*unknown) == []
    generators = ("empty", "only_fakes")
    runs = [make_training(tmp_path / str(seed), seed, generators=generators) for seed in (0, 1)]
    assert group_names(*runs) == []


def test_over_seeds_labels_name_the_difference_and_are_unique(tmp_path: Path) -> None:
    one_class, four_classes, study = (
        [make_training(tmp_path / f"{n}{seed}", seed, trained_on=about, **ONE) for seed in (0, 1)]
        for n, about in enumerate(
            [{"num_classes": 1}, {"num_classes": 4}, {"num_classes": 1, "study": "x"}]
        )
    )
    choices = ["simulated, 1 random class", "simulated, 4 random classes"]
    assert [group.choice for group in over_seeds(one_class + four_classes)] == choices
    choices = ["simulated, 1 random class (1)", "simulated, 1 random class (2)"]
    assert [group.choice for group in over_seeds(one_class + study)] == choices
