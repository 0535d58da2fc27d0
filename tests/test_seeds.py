"""Several seeds of one choice stand in the report as one interval, and only where they may."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from genspot.evaluation import bootstrap
from genspot import report
from genspot.report import seeds
from genspot.report.columns import MEASURES
from genspot.report.runs import Run, read
from test_report import GENERATORS, Page, make_run, percent, show_in_a_browser, text

AUGS = ("none", "größer & <besser>")
LABELS = [f"{aug} over 3 seeds" for aug in AUGS]
REAL_SETS = {"sim_nearest": "shared", "a<b&c": "shared"}


def seeded_run(folder: Path, seed: int, draws: int = 0, **about: Any) -> Path:
    """A run of a training with `seed`, which its test had too; the images of all are the same."""
    trained = {"seed": seed, **about.pop("trained_on", {})}
    images = about.pop("images", folder.parent / "images")
    run = make_run(folder, draws + seed, images=images, trained_on=trained, **about)
    told = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(told | {"seed": seed}))
    return run


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Path]:
    """Two augmentations with three seeds each, the last first, a third with one; their report."""
    place = tmp_path_factory.mktemp("seeded")
    about: dict[str, Any] = {"real_sets": REAL_SETS}
    runs = [
        seeded_run(place / f"{number}_{seed}", seed, 10 * number, trained_on={"aug": aug}, **about)
        for number, aug in enumerate(AUGS)
        for seed in (2, 0, 1)
    ]
    runs.append(seeded_run(place / "alone", 7, trained_on={"aug": "blur_0.5"}, **about))
    report.write(runs, place / "report", "Seven trainings")
    return runs, place / "report"


def by_hand(runs: list[Path], number: int) -> dict[str, dict[str, Any]]:
    """`bootstrap.combined` of the trainings of one augmentation, in the order of their seeds."""
    last, first, middle = runs[3 * number : 3 * number + 3]
    tables = [pq.read_table(run / "scores.parquet") for run in (first, middle, last)]
    found = bootstrap.combined(tables, REAL_SETS, replicates=40, seed=0, confidence=0.95)
    return {**found["generators"], "mean": found["mean"]}


def cell(one: dict[str, Any] | None) -> str:
    if one is None:
        return "–"
    low, high = one["interval"]
    return f"{percent(one['ap'])} [{percent(low)} – {percent(high)}]"


def test_the_page_has_what_the_bootstrap_combines(seeded: tuple[list[Path], Path]) -> None:
    runs, folder = seeded
    page = Page(text(folder))
    for number, label in enumerate(LABELS):
        expected = by_hand(runs, number)
        assert set(expected) == {*GENERATORS[:4], "mean"}
        for name in ("mean", *GENERATORS):
            assert page.heat[label, name] == cell(expected.get(name))
    assert {label for label, _ in page.heat if " over " in label} == set(LABELS)
    assert text(folder).count("<h3>Over seeds</h3>") == 1
    assert "k of them spread by (k − 1)/k of the variance" in text(folder)
    assert '<th scope="row">none</th><td>3</td>' in text(folder)


def test_csv_has_it_in_full_and_leaves_blank_what_is_not_combined(
    seeded: tuple[list[Path], Path],
) -> None:
    runs, folder = seeded
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(runs) * (len(GENERATORS) + 1) + 2 * 5
    assert len({len(row) for row in rows}) == 1
    for number, label in enumerate(LABELS):
        expected = by_hand(runs, number)
        mine = {row["generator"]: row for row in rows if row["run"] == label}
        assert list(mine) == [*GENERATORS[:4], "mean"]
        for name, row in mine.items():
            one = expected[name]
            assert (row["folder"], row["seed"], row["status"]) == ("", "0 1 2", "ok")
            assert (row["data"], row["aug"]) == ("simulated", AUGS[number])
            found = [row[key] for key in ("ap", "ap_low", "ap_high", "images")]
            assert found == [str(value) for value in (one["ap"], *one["interval"], one["images"])]
            blank = {*MEASURES, "published_ap", "published_acc", "real", "fake", "checkpoint"}
            assert not any(row[key] for key in blank - {"ap"})


def test_markdown_and_latex_have_it(seeded: tuple[list[Path], Path]) -> None:
    runs, folder = seeded
    expected = [by_hand(runs, number) for number in range(len(AUGS))]
    part = text(folder, "results.md").partition("## Over seeds")[2].partition("\n## ")[0]
    plain = re.sub(r"\\(.)", r"\1", part)
    assert f"| generator | {' | '.join(LABELS)} |" in plain
    tex = text(folder, "results.tex")
    assert tex.count(r"\begin{tabular}") == 3  # of seven runs five and two
    last = tex.rpartition(r"\begin{tabular}")[2]
    assert "none over 3 seeds & größer \\& \\textless{}besser\\textgreater{} over 3 seeds" in last
    for name in ("sim_nearest", "leer", "mean"):
        cells = [cell(one.get(name)) for one in expected]
        assert f"| {name} | {' | '.join(cells)} |" in plain
        (line,) = [row for row in last.splitlines() if row.startswith(name.replace("_", r"\_"))]
        shown = re.sub(r"\\textbf\{([^}]*)\}|\{\\scriptsize ([^}]*)\}", r"\1\2", line)
        assert shown.removesuffix(r" \\").replace("--", "–").split(" & ")[1:] == cells
        aps = [one[name]["ap"] if name in one else None for one in expected]
        best = [rf"\textbf{{{percent(max(aps, key=float))}}}"] if None not in aps else []
        assert re.findall(r"\\textbf\{[^}]*\}", line) == best


def test_a_single_choice_has_nothing_in_bold(tmp_path: Path) -> None:
    runs = [seeded_run(tmp_path / str(seed), seed) for seed in (0, 1)]
    report.write(runs, tmp_path / "report", "Two seeds")
    last = text(tmp_path / "report", "results.tex").rpartition(r"\begin{tabular}")[2]
    assert "simulated over 2 seeds" in last
    assert "textbf" not in last


def test_the_order_of_the_runs_does_not_matter(seeded: tuple[list[Path], Path]) -> None:
    runs = [read(run) for run in seeded[0]]
    found, turned = seeds.over_seeds(runs), seeds.over_seeds(runs[::-1])
    assert [one.results for one in found] == [one.results for one in turned[::-1]]
    assert [one.label for one in found] == LABELS


def grouped(*runs: Path) -> list[list[str]]:
    return [[run.folder.name for run in group] for group in seeds.groups([read(r) for r in runs])]


@pytest.mark.parametrize(
    "other",
    [
        {"trained_on": {"aug": "jpg_0.5"}},
        {"trained_on": {"subset": 2}},
        {"trained_on": {"study": "quickstart"}},
        {"trained_on": {"preprocess": {"crop": 24}}},
        {"trained_on": {"model": {"name": "resnet18", "network": {"weights": "x"}}}},
        {"crop": None},
        {"degrade": ["jpeg_50"]},
    ],
    ids=str,
)
def test_what_differs_in_more_than_the_seed_is_no_group(
    other: dict[str, Any], tmp_path: Path
) -> None:
    only = {"generators": GENERATORS[:1]}
    first = seeded_run(tmp_path / "first", 0, **only)
    second = seeded_run(tmp_path / "second", 1, **only, **other)
    third = seeded_run(tmp_path / "third", 2, **only)
    assert grouped(first, second) == []
    assert grouped(first, second, third) == [["first", "third"]]


def test_other_images_are_no_group(tmp_path: Path) -> None:
    first = seeded_run(tmp_path / "first", 0)
    elsewhere = seeded_run(tmp_path / "elsewhere", 1, images=tmp_path / "others")
    fewer = seeded_run(tmp_path / "fewer", 2, generators=GENERATORS[:3])
    beside = seeded_run(tmp_path / "beside", 3, images=tmp_path / "others")
    assert grouped(first, elsewhere, fewer) == []
    assert grouped(first, elsewhere, fewer, beside) == [["elsewhere", "beside"]]
    report.write([first, elsewhere, fewer], tmp_path / "report", "Other images")
    for name in ("report.html", "results.md", "results.csv", "results.tex"):
        assert "over seeds" not in text(tmp_path / "report", name).lower()


def test_one_training_twice_is_no_group_and_counts_once(tmp_path: Path) -> None:
    first = seeded_run(tmp_path / "first", 0)
    again = seeded_run(tmp_path / "again", 0, checkpoint=f"{first}/best.ckpt")
    second = seeded_run(tmp_path / "second", 1)
    assert grouped(first, first, again) == []
    assert grouped(first, again, second, first) == [["first", "second"]]


def test_two_trainings_of_one_seed_differ_in_what_is_not_known(tmp_path: Path) -> None:
    first, second = (seeded_run(tmp_path / str(seed), seed) for seed in (0, 1))
    other = seeded_run(tmp_path / "other", 1)  # with another learning rate, say
    assert grouped(first, second) == [["0", "1"]]
    assert grouped(first, second, other) == []


def test_the_seed_of_a_test_is_not_that_of_a_training(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, trained_on={"seed": None}) for name in "ab"]
    for seed, run in enumerate(runs):
        told = json.loads((run / "metrics.json").read_text()) | {"seed": seed}
        (run / "metrics.json").write_text(json.dumps(told))
    assert [read(run).choices["seed"] for run in runs] == ["seed 0", "seed 1"]
    assert grouped(*runs) == []


def test_runs_without_any_figure_are_no_group(tmp_path: Path) -> None:
    runs = [
        seeded_run(tmp_path / str(seed), seed, generators=("|pipe|*x*", "leer", "only_fakes"))
        for seed in (0, 1)
    ]
    for run in runs:
        told = json.loads((run / "metrics.json").read_text())
        del told["generators"]["|pipe|*x*"]
        (run / "metrics.json").write_text(json.dumps(told))
    assert grouped(*runs) == []


def test_older_runs_do_not_name_a_subset(tmp_path: Path) -> None:
    old = seeded_run(tmp_path / "old", 0)
    new = seeded_run(tmp_path / "new", 1, trained_on={"subset": None})
    assert grouped(old, new) == [["old", "new"]]


def over(*runs: Path) -> list[seeds.OverSeeds]:
    finished: list[Run] = [read(run) for run in runs]
    return seeds.over_seeds(finished)


def test_names_tell_what_differs_and_are_unique(tmp_path: Path) -> None:
    one = {"generators": GENERATORS[:1]}
    drawn = [
        seeded_run(tmp_path / f"{count}_{seed}", seed, trained_on={"subset": count}, **one)
        for count in (1, 4)
        for seed in (0, 1)
    ]
    names = ["simulated, 1 class drawn", "simulated, 4 classes drawn"]
    assert [group.label for group in over(*drawn)] == [f"{name} over 2 seeds" for name in names]
    study = [
        seeded_run(tmp_path / f"study{seed}", seed, trained_on={"subset": 1, "study": "x"}, **one)
        for seed in (0, 1)
    ]
    names = ["simulated, 1 class drawn (1)", "simulated, 1 class drawn (2)"]
    assert [group.choice for group in over(*drawn[:2], *study)] == names


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize("width", [1400, 390])
def test_a_browser_shows_it(width: int, seeded: tuple[list[Path], Path], tmp_path: Path) -> None:
    show_in_a_browser(seeded[1], width, tmp_path)
