"""Which runs a report is about, and in which order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.tasks.report import find_runs
from helpers.runs import read_csv
from helpers.tasks import run_task


def test_find_runs_puts_the_plain_run_first_and_sorts_numbers_by_value(tmp_path: Path) -> None:
    plain, blurred = {"aug": "none"}, {"aug": "blur_0.5"}
    for name, content in (
        ("sweep/blur_1", {"degradations": ["blur_1"], "trained_on": plain}),
        ("sweep/zero", {"degradations": [], "trained_on": plain}),
        ("sweep/fakes_jpeg_9", {"protocol": "fakes_jpeg_9", "trained_on": plain}),
        ("sweep/matched_jpeg_90", {"protocol": "matched_jpeg_90", "trained_on": plain}),
        ("sweep/matched_jpeg_9", {"protocol": "matched_jpeg_9", "trained_on": plain}),
        ("sweep/progan_16cls", {"trained_on": blurred}),
        ("sweep/progan_2cls", {"trained_on": blurred}),
        ("sweep/deep/er", {}),
        ("single", {}),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text(json.dumps(content))
    folders = find_runs([str(tmp_path / "sweep"), str(tmp_path / "single")])
    names = [folder.name for folder in folders]
    conditions = ["matched_jpeg_9", "matched_jpeg_90", "fakes_jpeg_9"]
    trained = ["progan_2cls", "progan_16cls"]
    assert names == ["zero", *conditions, *trained, "blur_1", "single"]


@pytest.mark.parametrize("folders", [[], ["empty"], ["nowhere"]])
def test_find_runs_without_results_is_an_error(folders: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(GenspotError, match="runs="):
        find_runs([str(tmp_path / name) for name in folders])


def test_report_of_a_folder_named_by_a_number_is_found_missing(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="runs=7"):
        run_task("task=report", "runs=7", folder=tmp_path / "report")


def test_report_writes_the_page_and_the_tables(trained: Path, tmp_path: Path) -> None:
    folder = run_task("task=report", f"runs=[{trained}]", folder=tmp_path / "report")
    assert len(read_csv(folder / "results.csv")) == 2  # one generator and the mean
    for name in ("report.html", "results.md", "results.tex"):
        assert (folder / name).stat().st_size


def test_report_that_fails_ends_with_one_line(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genspot.report.page.exports.render_csv", lambda *_: 1 / 0)
    with pytest.raises(GenspotError, match=r"^the report could not be made \(ZeroDivisionError"):
        run_task("task=report", f"runs=[{trained}]", folder=tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()


def test_report_into_the_folder_of_a_finished_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "report.html").write_text("its own")
    with pytest.raises(GenspotError, match="holds a finished run, whose own report would be"):
        run_task("task=report", f"runs=[{tmp_path}]", folder=tmp_path)
    assert (tmp_path / "report.html").read_text() == "its own"
