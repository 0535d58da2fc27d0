from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genspot.report.page import render_report
from genspot.report.runs import Run
from genspot.report.seeds import over_seeds, seed_groups
from helpers.report_runs import GENERATORS, make_run, make_trainings

ONE = {"generators": GENERATORS[:1]}


def group_names(*runs: Run) -> list[list[str]]:
    return [[run.folder.name for run in group] for group in seed_groups(runs)]


def training(tmp_path: Path, name: str, seed: int, **about: Any) -> Run:
    trained_on = {"seed": seed, **about.pop("trained_on", {})}
    images = about.pop("images", tmp_path / "images")
    about = {"seed": seed, "images": images, "trained_on": trained_on, **about}
    return make_run(tmp_path / name, seed, **about)


def test_over_seeds_does_not_depend_on_the_order_of_the_runs(trainings) -> None:
    groups, reverse = over_seeds(trainings.runs), over_seeds(trainings.runs[::-1])
    assert [group.results for group in groups] == [group.results for group in reverse[::-1]]
    assert [group.label for group in groups] == [
        "none over 3 seeds",
        "größer & <besser> over 3 seeds",
    ]


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
    first = training(tmp_path, "first", 0, **ONE)
    second = training(tmp_path, "second", 1, **ONE, **other)
    third = training(tmp_path, "third", 2, **ONE)
    assert group_names(first, second) == []
    assert group_names(first, second, third) == [["first", "third"]]


def test_seed_groups_with_other_images_are_separate(tmp_path: Path) -> None:
    first = training(tmp_path, "first", 0)
    elsewhere = training(tmp_path, "elsewhere", 1, images=tmp_path / "others")
    fewer = training(tmp_path, "fewer", 2, generators=GENERATORS[:3])
    beside = training(tmp_path, "beside", 3, images=tmp_path / "others")
    assert group_names(first, elsewhere, fewer) == []
    assert group_names(first, elsewhere, fewer, beside) == [["elsewhere", "beside"]]
    files = render_report([first, elsewhere, fewer], "Other images")
    assert not any("over seeds" in text.lower() for text in files.values())


def test_seed_groups_count_a_checkpoint_once(tmp_path: Path) -> None:
    first, second = (training(tmp_path, str(seed), seed, **ONE) for seed in (0, 1))
    again = training(tmp_path, "again", 0, checkpoint=first.metrics["checkpoint"], **ONE)
    assert group_names(first, first, again) == []
    assert group_names(first, again, second, first) == [["0", "1"]]


def test_seed_groups_omit_two_trainings_with_one_seed(tmp_path: Path) -> None:
    first, second = make_trainings(tmp_path / "runs", (0, 1), **ONE)
    other = training(tmp_path, "other", 1, images=tmp_path / "images", **ONE)
    assert group_names(first, second) == [["0", "1"]]
    assert group_names(first, second, other) == []


def test_seed_groups_omit_trainings_of_unknown_seed(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / str(seed), trained_on={"seed": None}, seed=seed) for seed in (0, 1)
    ]
    assert [run.choices["seed"] for run in runs] == ["seed 0", "seed 1"]
    assert group_names(*runs) == []


def test_seed_groups_omit_runs_without_any_ap(tmp_path: Path) -> None:
    runs = make_trainings(tmp_path / "runs", (0, 1), generators=("empty", "only_fakes"))
    assert group_names(*runs) == []


def test_over_seeds_labels_name_the_difference_and_are_unique(tmp_path: Path) -> None:
    def group(name: str, **trained_on: Any) -> list[Run]:
        return make_trainings(tmp_path / name, (0, 1), trained_on=trained_on, **ONE)

    one_class, four_classes = group("one", num_classes=1), group("four", num_classes=4)
    choices = ["simulated, 1 random class", "simulated, 4 random classes"]
    assert [one.choice for one in over_seeds(one_class + four_classes)] == choices
    study = group("study", num_classes=1, study="x")
    choices = ["simulated, 1 random class (1)", "simulated, 1 random class (2)"]
    assert [one.choice for one in over_seeds(one_class + study)] == choices
