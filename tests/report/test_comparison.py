from __future__ import annotations

import pytest

from genspot.report.comparison import differences
from helpers.report_runs import GENERATORS, make_run, results_of


def test_differences_hold_the_ap_difference_and_a_paired_interval(ablation) -> None:
    first, second = ablation.runs[:2]
    (difference,) = differences([first, second])
    assert difference["paired"]
    for name, (cell, excludes_zero) in zip(
        ["mean", *GENERATORS], difference["cells"], strict=True
    ):
        aps = [results_of(run)[name]["ap"] for run in (first, second)]
        if None in aps:
            assert (cell, excludes_zero) == ("–", False)
            continue
        shown, low, high = (float(part.replace("−", "-").strip(",[]")) for part in cell.split())
        assert shown == pytest.approx(100 * (aps[1] - aps[0]), abs=0.051)
        assert low <= shown <= high
        assert excludes_zero <= (low >= 0 or high <= 0)


def test_differences_of_means_need_the_same_generators(tmp_path) -> None:
    runs = [make_run(tmp_path / str(count), generators=GENERATORS[:count]) for count in (2, 1)]
    (difference,) = differences(runs)
    assert not difference["paired"]
    assert difference["cells"][0] == ("–", False)
    assert difference["cells"][1][0] != "–"
