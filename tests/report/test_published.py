"""Figures of a run beside all that were published for such a detector."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from genspot.report.dashboard import dashboard
from genspot.report.page import render_report
from genspot.report.published import published_notes, published_table
from genspot.report.runs import Run
from helpers.report_page import parse_page
from helpers.report_runs import make_run, percent


def baseline(name: str, ap: float | None, acc: float | None = None, **about: Any) -> Any:
    one = {"name": name, "title": f"{name} & co", "row": "main", "source": "Table 2"}
    one |= {"link": "https://example.org", "rerun": False, "unconfirmed": False}
    return {**one, "ap": ap, "acc": acc, **about}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run on three sets, for which an original and a re-run were published."""
    run = make_run(tmp_path / "run", generators=("a", "b", "only_fakes"))
    generators = run.metrics["generators"]
    generators["a"]["published"] = {"ap": 0.9, "acc": 0.7, "unconfirmed": True}
    generators["a"]["baselines"] = [
        baseline("paper", 0.9, 0.7, unconfirmed=True),
        baseline("others", 0.8, rerun=True),
    ]
    generators["b"]["baselines"] = [baseline("others", 0.6, rerun=True)]
    run.metrics["mean"]["baselines"] = [baseline("others", 0.7, rerun=True)]
    return run


def difference(value: float, published: float) -> str:
    return f"{100 * (value - published):+.1f}".replace("-", "−")


def test_published_table_has_each_publication_with_the_difference(run: Run) -> None:
    table = published_table(run)
    assert table is not None
    assert table.heading == [
        *("generator", "AP here", "AP, paper & co: main (unconfirmed)"),
        *("AP, others & co: main (re-run)", "accuracy here"),
        "accuracy, paper & co: main (unconfirmed)",
    ]
    a, b, mean = (run.results[name] for name in ("a", "b", "mean"))
    assert table.rows == [
        [
            *("a", percent(a["ap"]), f"90.0, {difference(a['ap'], 0.9)}"),
            *(f"80.0, {difference(a['ap'], 0.8)}", percent(a["acc"])),
            f"70.0, {difference(a['acc'], 0.7)}",
        ],
        ["b", percent(b["ap"]), "–", f"60.0, {difference(b['ap'], 0.6)}", percent(b["acc"]), "–"],
        [
            *("mean", percent(mean["ap"]), "–", f"70.0, {difference(mean['ap'], 0.7)}"),
            *(percent(mean["acc"]), "–"),
        ],
    ]


def test_row_is_marked_as_a_whole_or_its_figures_are(run: Run) -> None:
    generators = run.metrics["generators"]
    generators["b"]["baselines"] = [baseline("paper", 0.6), baseline("others", 0.5, aug=None)]
    generators["a"]["baselines"].pop()
    table = published_table(run)
    assert table is not None
    assert table.heading[2:4] == [
        "AP, paper & co: main",
        "AP, others & co: main (augmentation not stated)",
    ]
    a, b, *_ = table.rows
    assert a[2].startswith("90.0 (unconfirmed), ") and b[2].startswith("60.0, ")
    for mark in ("Re-run: ", "Unconfirmed: ", "Augmentation not stated: "):
        assert mark in table.caption


def test_published_notes_name_the_source_and_the_sets(run: Run) -> None:
    assert published_notes(run.metrics) == [
        "Published beside: paper & co: main (unconfirmed) (Table 2, 1 set).",
        "Published beside: others & co: main (re-run) (Table 2, 2 sets, mean AP 70.0).",
    ]


def test_run_without_published_figures_has_no_table_and_no_file(tmp_path: Path) -> None:
    """As runs of older versions, which have no key `baselines`."""
    run = make_run(tmp_path / "run")
    for figures in run.metrics["generators"].values():
        del figures["baselines"]
    assert published_table(run) is None and published_notes(run.metrics) == []
    files = render_report([run], "A")
    assert list(files) == ["results.csv", "results.md", "results.tex", "report.html"]
    assert "published for such a detector" not in files["report.html"]


def test_report_of_one_run_shows_published_figures_on_the_page_and_in_all_files(run: Run) -> None:
    files = render_report([run], "A")
    cell = f"60.0, {difference(run.results['b']['ap'], 0.6)}"
    cells = ["".join(one.itertext()) for one in parse_page(files["report.html"]).iter("td")]
    assert cell in cells and "Published beside: paper &amp; co" in files["report.html"]
    assert cell in files["results.md"]
    assert re.sub(r"\$-\$", "−", files["results.tex"]).count(cell) == 1
    assert r"AP, paper \& co: main" in files["results.tex"]
    rows = list(csv.DictReader(io.StringIO(files["detectors.csv"])))
    assert [(row["generator"], row["publication"]) for row in rows] == [
        *(("a", "paper"), ("a", "others"), ("b", "others"), ("mean", "others"))
    ]
    first = rows[0]
    assert (first["published_ap"], first["published_acc"]) == ("0.9", "0.7")
    assert float(first["ap_difference"]) == pytest.approx(run.results["a"]["ap"] - 0.9)
    assert (first["unconfirmed"], first["rerun"], rows[1]["rerun"]) == ("True", "False", "True")
    assert (first["link"], first["parameters"]) == ("https://example.org", "")
    assert rows[1]["published_acc"] == rows[1]["acc_difference"] == ""


def test_dashboard_has_the_published_figures_as_a_table(run: Run) -> None:
    shown = dashboard(run)
    rows = [dict(zip(shown.published_columns, row, strict=True)) for row in shown.published]
    assert [(row["generator"], row["publication"], row["published_ap"]) for row in rows] == [
        *(("a", "paper", 0.9), ("a", "others", 0.8), ("b", "others", 0.6), ("mean", "others", 0.7))
    ]
    assert rows[0]["ap"] == run.results["a"]["ap"] and rows[1]["rerun"]
