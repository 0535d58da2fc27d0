from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from genspot.report.figures import draw_histograms
from genspot.report.runs import Run
from genspot.report.sections.threshold import histograms, threshold
from helpers.report_runs import make_run


def make(folder: Path, gap: float) -> Run:
    """Return a run whose accuracy at 0.5 is `gap` below the best on the second generator."""
    run = make_run(folder / "run", generators=("first", "second"))
    for name, oracle in (("first", 0.62), ("second", 0.6 + gap)):
        run.metrics["generators"][name] |= {"acc": 0.6, "acc_oracle": oracle}
    return run


def test_threshold_explains_the_largest_gap_with_its_numbers(tmp_path: Path) -> None:
    run = make(tmp_path, 0.35)
    figures, images = run.metrics["generators"]["second"], run.images["second"]
    figures |= {"ap": 0.912, "acc_val_threshold": 0.777}
    above = [int((images.logits[images.labels == label] > 0).sum()) for label in (0, 1)]
    note, example = threshold(run)
    assert "on second (60.0 instead of 95.0)" in note
    assert "on second: its AP is 91.2, its accuracy at 0.5 is 60.0, because " in example
    counts = f"{above[0]} of 30 real images and {above[1]} of 30 fakes"
    assert f"because {counts} have a probability above 0.5" in example
    assert "The threshold chosen on validation images reaches 77.7." in example
    assert "The best threshold reaches 95.0, " in example
    drawn = histograms(run)
    assert drawn is not None and f"on second: {counts} are above 0." in drawn
    figures["acc_val_threshold"] = None
    assert "validation" not in threshold(run)[1]


def test_threshold_that_is_good_is_said_to_be_good(tmp_path: Path) -> None:
    run = make(tmp_path, 0.041)
    (text,) = threshold(run)
    assert "at most 4.1 points below that at the best threshold (second)." in text
    assert histograms(run) is None


def test_threshold_says_nothing_without_an_ap(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("only_fakes", "empty"))
    assert threshold(run) == []
    assert histograms(run) is None


def test_histograms_have_the_percentages_of_each_kind_and_show_both_sides_of_zero() -> None:
    axes = Figure().add_subplot()
    draw_histograms(axes, np.array([-4.0, -4.0, -4.0, -1.0]), np.array([-2.0, -1.0]))
    heights = [patch.get_xy()[:, 1].max() for patch in axes.patches]
    assert heights == [75, 50]
    low, high = axes.get_xlim()
    assert low <= -4 and high > 0.5
