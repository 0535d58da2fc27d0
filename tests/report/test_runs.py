from __future__ import annotations

import json
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.common.tables import write_parquet
from genspot.report.runs import Run, label_runs, read_run
from helpers.report_runs import make_run


def write_run(run: Run) -> Path:
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "metrics.json").write_text(json.dumps(run.metrics))
    (run.folder / "config.yaml").write_text(run.config)
    write_parquet(run.scores, run.folder / "scores.parquet")
    return run.folder


def labels_of(*runs: Run) -> list[str]:
    return [run.label for run in label_runs(runs)]


def test_read_run_returns_what_was_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert read_run(write_run(run)) == run


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml", "scores.parquet"])
def test_read_run_without_a_file_names_it(name: str, tmp_path: Path) -> None:
    folder = write_run(make_run(tmp_path / "run", generators=("empty",)))
    (folder / name).unlink()
    with pytest.raises(GenspotError, match=name.replace(".", r"\.")):
        read_run(folder)


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"generators": {}, "mean": {}}'])
def test_read_run_with_wrong_metrics_says_so(content: str, tmp_path: Path) -> None:
    folder = write_run(make_run(tmp_path / "run", generators=("empty",)))
    (folder / "metrics.json").write_text(content)
    with pytest.raises(GenspotError, match="cannot be reported: ") as error:
        read_run(folder)
    assert "\n" not in str(error.value)


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
