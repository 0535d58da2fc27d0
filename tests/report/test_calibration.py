"""Calibration on generators that the fit did not see: its table, its sentence and its places."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from genspot.evaluation.left_out import left_out_calibration
from genspot.report.calibration import calibration_notes, calibration_table
from genspot.report.console import notes
from genspot.report.page import render_report
from helpers.report_page import parse_page
from helpers.report_runs import COMPLETE, make_run


def figures(ece: float, brier: float, log_loss: float) -> dict[str, float]:
    return {"ece": ece, "brier": brier, "log_loss": log_loss}


def entry(after: dict[str, float] | None, fault: str | None = None) -> dict[str, Any]:
    fitted = fault is None
    return {
        "slope": 1.5 if fitted else None,
        "offset": -0.5 if fitted else None,
        "real": 30 if fitted else None,
        "fake": 20 if fitted else None,
        "fault": fault,
        "shares_reals": False,
        "before": figures(0.2, 0.1, 0.5),
        "after": after,
    }


def found() -> dict[str, Any]:
    generators = {"a": entry(figures(0.1, 0.05, 0.25)), "b": entry(figures(0.3, 0.2, 1.25))}
    means = {"before": figures(0.2, 0.1, 0.5), "after": figures(0.2, 0.125, 0.75)}
    return {"calibration": {"generators": generators, "mean": means}}


def test_calibration_table_has_a_row_for_each_generator_and_the_mean() -> None:
    table = calibration_table(found())
    assert table is not None
    assert table.rows == [
        ["a", "30 + 20", "20.0", "10.0", "10.0", "5.0", "0.500", "0.250"],
        ["b", "30 + 20", "20.0", "30.0", "10.0", "20.0", "0.500", "1.250"],
        ["mean", "", "20.0", "20.0", "10.0", "12.5", "0.500", "0.750"],
    ]
    assert len(table.heading) == 8 and table.heading[2:4] == ["ECE before", "ECE after"]
    assert "same set" not in table.caption


def test_calibration_table_names_generators_that_share_reals() -> None:
    metrics = found()
    metrics["calibration"]["generators"]["b"]["shares_reals"] = True
    table = calibration_table(metrics)
    assert table is not None and "The fit for b saw real images of the same set" in table.caption


def test_calibration_notes_say_the_means_and_where_it_grew() -> None:
    (line,) = calibration_notes(found())
    assert "ECE 20.0 → 20.0, Brier score 10.0 → 12.5, log loss (nats) 0.500 → 0.750" in line
    assert "the ECE grew on 1 of 2 (b). A constant 0.5 has" in line


def test_calibration_notes_and_table_of_a_failed_fit_say_why() -> None:
    metrics = found()
    metrics["calibration"]["generators"]["b"] = entry(None, "the reason")
    metrics["calibration"]["mean"]["after"] = None
    expected = "No calibration of b on the others, which is no error: the reason."
    assert calibration_notes(metrics) == [expected]
    table = calibration_table(metrics)
    assert table is not None
    assert table.rows[1][1:4] == ["–", "20.0", "–"] and table.rows[2][3] == "–"


@pytest.mark.parametrize("metrics", [{}, {"calibration": None}])
def test_calibration_of_a_run_without_any_has_no_table_and_no_line(metrics: Any) -> None:
    assert calibration_table(metrics) is None and calibration_notes(metrics) == []


def test_page_and_markdown_show_the_table_and_the_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    without = render_report([run], "A run")
    assert "Platt" not in without["report.html"] + without["results.md"]
    run.metrics["calibration"] = left_out_calibration(run.scores, COMPLETE, "5" * 64)
    before = copy.deepcopy(run.metrics)
    files = render_report([run], "A run")
    assert run.metrics == before
    table = calibration_table(run.metrics)
    assert table is not None
    cells = {"".join(cell.itertext()) for cell in parse_page(files["report.html"]).iter("td")}
    assert {cell for row in table.rows for cell in row[1:] if cell} <= cells
    (line,) = calibration_notes(run.metrics)
    assert line in notes(run.metrics)
    assert files["report.html"].count("calibrated on the others by Platt") == 1
    assert f"| {' | '.join(table.heading)} |" in files["results.md"]
