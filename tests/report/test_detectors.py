"""Detectors side by side over their seeds, with what was published for each."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from genspot.evaluation.intervals import accuracy_over_seeds, ap_over_seeds
from genspot.report.comparison import over_seeds
from genspot.report.detectors import detector_tables, detectors, export_rows
from genspot.report.page import render_report
from genspot.report.runs import Run, label_runs
from helpers.report_page import parse_page
from helpers.report_runs import make_run, make_training, percent

NPR = {"model": {"name": "npr"}, "aug": "none"}
COST = {"parameters": 1437761, "gflop": 2.2936, "device": "cpu", "height": 256, "width": 256}
SETS = ("a", "b", "only_reals")


def published(name: str, ap: float | None, acc: float | None, rerun: bool = False) -> dict:
    about = {"name": name, "title": name.upper(), "row": "main", "source": "s", "link": "l"}
    return {**about, "rerun": rerun, "unconfirmed": False, "ap": ap, "acc": acc}


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    """Three trainings of one detector, with published figures and costs, and one of another."""
    found = []
    for seed in range(3):
        run = make_training(
            tmp_path / f"npr{seed}", seed, images=tmp_path, generators=SETS, trained_on=NPR
        )
        run.metrics["network"] = COST | {"images_per_second": 100.0 + seed}
        for name in ("a", "b", "mean"):
            run.results[name]["baselines"] = [
                published("again", 0.5, None, rerun=True),
                published("paper", 0.9, 0.8),
            ]
        found.append(run)
    return [*found, make_training(tmp_path / "other", 0, 9, images=tmp_path, generators=SETS)]


def estimate(value: float, interval: list[float]) -> str:
    return f"{percent(value)} [{' – '.join(map(percent, interval))}]"


def test_table_of_detectors_has_cost_and_means_over_seeds_beside_the_published_ones(
    runs: list[Run],
) -> None:
    labelled = label_runs(runs)
    table, *_ = detector_tables(detectors(labelled, over_seeds(labelled)))
    aps = ap_over_seeds([run.scores for run in runs[:3]])["mean"]
    accuracies = accuracy_over_seeds([run.scores for run in runs[:3]])["mean"]
    rows = {row[0]: dict(zip(table.heading, row, strict=True)) for row in table.rows}
    assert list(rows) == ["npr", "resnet18"]
    npr, other = rows.values()
    assert npr["trainings"] == "3" and npr["parameters"] == "1,437,761" and npr["GFLOP"] == "2.29"
    assert (npr["images a second"], npr["image"], npr["sets"]) == ("101 (cpu)", "256 × 256", "2")
    assert npr["mean AP"] == estimate(aps["ap"], aps["interval"])
    assert npr["mean accuracy"] == estimate(accuracies["acc"], accuracies["interval"])
    assert (npr["published AP"], npr["published accuracy"]) == ("90.0", "80.0")  # no re-run
    assert (other["trainings"], other["parameters"], other["published AP"]) == ("1", "–", "–")
    single = [run.metrics["mean"]["ap"] for run in runs[:3]]
    assert aps["ap"] == pytest.approx(np.mean(single))


def test_rerun_stands_in_the_table_of_detectors_where_nothing_else_was_published(
    runs: list[Run],
) -> None:
    for run in runs[:3]:
        run.results["mean"]["baselines"].pop()
    labelled = label_runs(runs)
    table, *_ = detector_tables(detectors(labelled, over_seeds(labelled)))
    row = dict(zip(table.heading, table.rows[0], strict=True))
    assert (row["published AP"], row["published accuracy"]) == ("50.0†", "–")
    for run in runs[:3]:
        run.results["mean"]["baselines"][0] |= {"unconfirmed": True, "aug": None}
    table, *_ = detector_tables(detectors(labelled, over_seeds(labelled)))
    assert "50.0*†‡" in table.rows[0]
    for mark in ("* unconfirmed", "† re-run", "‡ augmentation not stated"):
        assert mark in table.caption


def test_columns_of_published_figures_are_left_out_where_nothing_is_published(
    runs: list[Run],
) -> None:
    for run in runs:
        run.results["mean"]["baselines"] = []
    labelled = label_runs(runs)
    table, *_ = detector_tables(detectors(labelled, over_seeds(labelled)))
    assert table.heading[-3:] == ["sets", "mean AP", "mean accuracy"]
    assert {len(row) for row in table.rows} == {len(table.heading)}


def test_speeds_on_several_devices_are_not_averaged(runs: list[Run]) -> None:
    labelled = label_runs(runs)
    for run, device, speed in zip(runs, ("cpu", "cuda", "cpu"), (3.0, 2000.0, 4.0), strict=False):
        run.metrics["network"] |= {"device": device, "images_per_second": speed}
    found = detectors(labelled, over_seeds(labelled))
    table, *_ = detector_tables(found)
    assert table.rows[0][4] == "3.5 (cpu), 2,000 (cuda)"
    row = next(export_rows(found))
    assert (row["device"], row["images_per_second"]) == ("cpu", 3.5)
    for run in runs[:3]:
        run.metrics["network"]["images_per_second"] = None
    assert detector_tables(found)[0].rows[0][4] == "–"


def test_detectors_tested_on_other_sets_are_said_to_be_so(tmp_path: Path) -> None:
    npr = make_run(tmp_path / "npr", generators=("a", "b"), trained_on=NPR)
    same, other = (
        make_run(tmp_path / name, generators=("a", name), images=tmp_path) for name in "bc"
    )
    for run, expected in ((same, False), (other, True)):
        labelled = label_runs([npr, run])
        tables = detector_tables(detectors(labelled, over_seeds(labelled)))
        assert ("other sets: their means are not comparable" in tables[0].caption) is expected


def test_tables_by_generator_have_a_row_for_each_publication_below_the_detector(
    runs: list[Run],
) -> None:
    labelled = label_runs(runs)
    _, of_ap, of_accuracy = detector_tables(detectors(labelled, over_seeds(labelled)))
    assert of_ap.heading == ["detector", "mean", "a", "b"]
    labels = ["npr", "AGAIN: main (re-run)", "PAPER: main", "resnet18"]
    assert [row[0] for row in of_ap.rows] == labels
    assert [row[0] for row in of_accuracy.rows] == ["npr", "PAPER: main", "resnet18"]
    found = ap_over_seeds([run.scores for run in runs[:3]])["generators"]["a"]
    assert of_ap.rows[0][2] == estimate(found["ap"], found["interval"])
    difference = f"{100 * (found['ap'] - 0.9):+.1f}".replace("-", "−")
    assert of_ap.rows[2][2] == f"90.0, {difference}"


def test_report_has_the_detectors_on_the_page_and_in_all_files(runs: list[Run]) -> None:
    files = render_report(runs, "Detectors")
    assert list(files)[-2:] == ["detectors.csv", "report.html"]
    page = parse_page(files["report.html"])
    assert any(one.text == "Detectors" for one in page.iter("h3"))
    assert "results.tex and detectors.csv" in files["report.html"]
    assert "1,437,761" in files["report.html"] and "1,437,761" in files["results.md"]
    assert "## Detectors" in files["results.md"] and "1,437,761" in files["results.tex"]
    rows = list(csv.DictReader(io.StringIO(files["detectors.csv"])))
    of_npr = [row for row in rows if row["detector"] == "npr"]
    assert {row["seed"] for row in of_npr} == {"0 1 2"} and {
        row["trainings"] for row in of_npr
    } == {"3"}
    assert [row["generator"] for row in of_npr] == ["a", "a", "b", "b", "mean", "mean"]
    assert [row["generator"] for row in rows if row["detector"] == "resnet18"] == [
        "a",
        "b",
        "mean",
    ]
    found = accuracy_over_seeds([run.scores for run in runs[:3]])["generators"]["a"]
    assert [float(of_npr[0][f"acc{end}"]) for end in ("", "_low", "_high")] == pytest.approx(
        [found["acc"], *found["interval"]]
    )


def test_runs_of_one_model_are_no_comparison_of_detectors(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, seed) for seed, name in enumerate("ab")]
    runs[1].metrics["trained_on"]["aug"] = "blur"
    labelled = label_runs(runs)
    assert detectors(labelled, over_seeds(labelled)) == [] and detector_tables([]) == []
    files = render_report(runs, "A")
    assert "detectors.csv" not in files and "detectors.csv" not in files["report.html"]


def test_detectors_with_one_model_twice_have_their_choices_as_labels(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{number}", number, trained_on=trained_on)
        for number, trained_on in enumerate((NPR, NPR | {"aug": "blur"}, {}))
    ]
    labelled = label_runs(runs)
    labels = [one.label for one in detectors(labelled, over_seeds(labelled))]
    assert labels == ["none, npr", "blur, npr", "none, resnet18"]
