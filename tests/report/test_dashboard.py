from __future__ import annotations

import numpy as np
import pytest

from genspot.evaluation.results import MEASURES
from genspot.report.dashboard import CURVE_POINTS, dashboard
from helpers.report_runs import COMPLETE, results_of


def test_dashboard_holds_every_figure_and_bound(single) -> None:
    (run,) = single.runs
    found = dashboard(run)
    results = results_of(run)
    assert found.figures == {
        f"{measure}/{name}": figures[measure]
        for name, figures in results.items()
        for measure in MEASURES
        if figures[measure] is not None
    }
    for name in (*COMPLETE, "mean"):
        bounds = [found.bounds[f"ap_low/{name}"], found.bounds[f"ap_high/{name}"]]
        assert bounds == results[name]["ap_interval"]
    assert len(found.bounds) == 2 * (len(COMPLETE) + 1)


def test_dashboard_table_compares_with_the_published_ap(single) -> None:
    (run,) = single.runs
    found = dashboard(run)
    rows = {row[0]: dict(zip(found.ap_columns, row, strict=True)) for row in found.ap_table}
    assert list(rows) == list(results_of(run))
    first = results_of(run)["sim_nearest"]
    for key in ("ap", "acc", "images"):
        assert rows["sim_nearest"][key] == first[key]
    assert rows["sim_nearest"]["difference"] == pytest.approx(first["ap"] - 0.9)
    assert rows["empty"] == {**dict.fromkeys(found.ap_columns), "generator": "empty", "images": 0}


def test_dashboard_curves_have_the_area_of_the_ap(single) -> None:
    (run,) = single.runs
    found = dashboard(run)
    assert found.pr_columns == ("generator", "recall", "precision")
    assert {point[0] for point in found.pr_points} == set(COMPLETE)
    for name in COMPLETE:
        points = np.array([point[1:] for point in found.pr_points if point[0] == name])
        assert len(points) <= CURVE_POINTS
        area = np.trapezoid(points[:, 1], points[:, 0])
        assert area == pytest.approx(results_of(run)[name]["ap"], abs=0.02)
        assert {0.0, 1.0} <= set(points[:, 0])


def test_dashboard_pictures_are_named_by_folder_and_file(single) -> None:
    (run,) = single.runs
    pictures = dashboard(run).pictures
    assert list(pictures) == ["spectra/sim_nearest_fake", "spectra/sim_nearest_real"]
    assert all(file.is_file() for file in pictures.values())
