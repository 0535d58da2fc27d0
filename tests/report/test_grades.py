from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genspot.report.grades import BELOW, CHANCE, FOUND, PARTLY, chance, grade, ordered_generators
from helpers.report_runs import COMPLETE, make_run


@pytest.mark.parametrize(
    ("ap", "interval", "fakes", "expected"),
    [
        (0.95, [0.51, 0.99], 50, FOUND),
        (0.949, [0.9, 0.99], 50, PARTLY),
        (0.6, [0.501, 0.7], 50, PARTLY),
        (0.99, [0.5, 0.999], 50, CHANCE),
        (0.48, [0.45, 0.5], 50, CHANCE),
        (0.4, [0.3, 0.499], 50, BELOW),
        (0.76, [0.7, 0.8], 75, CHANCE),  # chance is the fraction of fakes
        (0.96, [0.91, 0.97], 95, CHANCE),
        (1.0, None, 100, None),
    ],
)
def test_grade_follows_from_the_ap_its_interval_and_the_fraction_of_fakes(
    ap: float, interval, fakes: int, expected: str | None
) -> None:
    figures = {"ap": ap, "ap_interval": interval, "fake": fakes, "images": 100}
    assert grade(figures) == expected
    assert chance(figures) == fakes / 100


def test_ordered_generators_has_the_training_generator_first_and_no_empty_one(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run")
    aps = {name: run.results[name]["ap"] for name in COMPLETE}
    by_ap = sorted(COMPLETE, key=lambda name: -aps[name])
    assert ordered_generators(run) == [*by_ap, "only_fakes"]
    worst = by_ap[-1]
    run = replace(run, config=f'data: {{generator: "{worst}"}}')
    assert ordered_generators(run) == [worst, *by_ap[:-1], "only_fakes"]
