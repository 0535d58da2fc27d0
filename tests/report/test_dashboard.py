from __future__ import annotations

import numpy as np
import pytest

from genspot.evaluation.results import MEASURES
from genspot.report.dashboard import CURVE_POINTS, dashboard
from helpers.report_runs import COMPLETE


def test_dashboard_holds_every_figure_and_bound(single) -> None:
    (run,) = single.runs
    found = dashboard(run)
    names = (*COMPLETE, "mean")
    rates = [(rate, name) for rate in ("fpr", "tpr") for name in COMPLETE]
    rates.append(("tpr", "only_fakes"))
    measures = [(measure, name) for name in names for measure in MEASURES]
    assert found.figures == {
        f"{key}/{name}": run.results[name][key] for key, name in measures + rates
    }
    assert len(found.bounds) == 2 * (len(names) + len(rates))
    for rate, name in rates:
        bounds = [found.bounds[f"{rate}_low/{name}"], found.bounds[f"{rate}_high/{name}"]]
        assert bounds == run.results[name][f"{rate}_interval"]
    for name in names:
        bounds = [found.bounds[f"ap_low/{name}"], found.bounds[f"ap_high/{name}"]]
        assert bounds == run.results[name]["ap_interval"]
    assert list(found.pictures) == ["spectra/sim_nearest_fake", "spectra/sim_nearest_real"]
    assert all(file.is_file() for file in found.pictures.values())


def test_dashboard_table_compares_with_the_published_ap(single) -> None:
    (run,) = single.runs
    found = dashboard(run)
    rows = {row[0]: dict(zip(found.ap_columns, row, strict=True)) for row in found.ap_table}
    assert list(rows) == list(run.results)
    first, row = run.results["sim_nearest"], rows["sim_nearest"]
    assert (row["ap"], row["acc"], row["images"]) == (first["ap"], first["acc"], 60)
    assert row["difference"] == pytest.approx(first["ap"] - 0.9)
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
        assert area == pytest.approx(run.results[name]["ap"], abs=0.02)
        assert {0.0, 1.0} <= set(points[:, 0])
