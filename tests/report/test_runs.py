from __future__ import annotations

from pathlib import Path

from genspot.report.runs import Run, label_runs
from helpers.report_runs import make_run


def labels_of(*runs: Run) -> list[str]:
    return [run.label for run in label_runs(runs)]


def test_label_runs_names_what_differs(ablation, tmp_path: Path) -> None:
    runs = ablation.runs
    assert labels_of(*runs[:3]) == ["none", "blur_jpg_0.5", "größer & <besser>"]
    assert labels_of(*runs[2:4]) == ["undegraded", "jpeg_90"]
    assert labels_of(*runs)[1] == "blur_jpg_0.5, undegraded"
    assert labels_of(runs[0], runs[0]) == ["run0 (1)", "run0 (2)"]
    crops = [
        make_run(tmp_path / f"c{crop}", crop=crop, generators=("empty",)) for crop in (32, None)
    ]
    assert labels_of(*crops) == ["crop 32", "whole images"]
    other = make_run(tmp_path / "other", generators=("empty",))
    assert labels_of(crops[0], other) == ["c32", "other"]
