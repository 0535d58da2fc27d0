from __future__ import annotations

import pytest

from genspot.report.curves import degradation_curves, degradation_groups, robustness_sections
from helpers.report_runs import make_run, percent


def test_degradation_groups_and_curves_of_one_checkpoint(ablation) -> None:
    runs = ablation.runs
    (group,) = degradation_groups(runs)
    assert group == runs[2:]
    assert degradation_groups(runs[:3]) == []
    (jpeg_axis, jpeg), (blur_axis, blur) = degradation_curves(group, "robust0")
    assert (jpeg_axis, blur_axis) == ("JPEG quality", "blur, σ in pixels")
    assert jpeg.heading == ["generator", "none", "90", "50"]
    assert blur.heading == ["generator", "none", "1.5"]
    shown = {row[0]: row[1:] for row in jpeg.rows}
    for name in ("sim_nearest", "mean"):
        assert shown[name] == [percent(run.results[name]["ap"]) for run in runs[2:5]]


def test_degradation_curves_of_a_set_of_one_class_show_its_share(tmp_path) -> None:
    names = ("only_reals",)
    runs = [
        make_run(
            tmp_path / str(number),
            number,
            degradations=chain,
            generators=names,
            checkpoint="best.ckpt",
        )
        for number, chain in enumerate(([], ["jpeg_90"], ["blur_1", "jpeg_90"]))
    ]
    ((_, panels),) = degradation_curves(runs, "robust0")
    shares = [percent(run.results["only_reals"]["fpr"]) for run in runs[:2]]
    assert panels.rows == [["only_reals, called fake", *shares]]
    assert panels.legend == [] and "called fake in percent on only_reals" in panels.figures[0][1]
    (section,) = robustness_sections(runs)
    assert section["chains"] == []  # of mean APs


@pytest.mark.parametrize(
    ("degradations", "steps"),
    [
        (["jpeg_30", "jpeg_90", "jpeg_60"], ["90", "60", "30"]),
        (["blur_2", "blur_0.5"], ["0.5", "2"]),
        (["resize_4", "resize_0.5", "resize_1.25"], ["1.25", "0.5", "4"]),
    ],
)
def test_degradation_curves_are_ordered_by_strength(degradations, steps, tmp_path) -> None:
    runs = [
        make_run(tmp_path / name, degradations=[name], generators=("empty",))
        for name in degradations
    ]
    ((_, panels),) = degradation_curves(runs, "robust0")
    assert panels.heading[1:] == steps
