"""Runs that are read from their folders: what is wrong with them, and older ones."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.common.tables import write_parquet
from genspot.report.run_reader import read_run
from genspot.report.runs import Run
from helpers.errors import error_of
from helpers.report_runs import make_run, with_photographs


def write_run(run: Run) -> Path:
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "metrics.json").write_text(json.dumps(run.metrics))
    (run.folder / "config.yaml").write_text(run.config)
    write_parquet(run.scores, run.folder / "scores.parquet")
    return run.folder


def test_read_run_returns_what_was_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert read_run(write_run(run)) == run and run.clusters == {}
    drawn = with_photographs(make_run(tmp_path / "drawn", generators=("sitd", "empty")))
    assert read_run(write_run(drawn)) == drawn
    assert drawn.clusters == {"sitd": "class", "empty": "class"}


def test_read_run_adds_what_older_runs_did_not_write(tmp_path: Path) -> None:
    names = ("sitd", "empty", "only_fakes", "only_reals")
    run = make_run(tmp_path / "run", generators=names)
    older = json.loads(json.dumps(run.metrics))
    for figures in older["generators"].values():
        for key in [key for key in figures if re.match("[ft]pr(_interval|_val_.*)?$", key)]:
            del figures[key]
        if figures["status"].endswith(" only"):
            figures["status"] = "one class only"
    assert older != run.metrics
    assert read_run(write_run(replace(run, metrics=older))) == run


def test_read_run_without_newer_figures_of_probabilities_reads(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for figures in run.results.values():
        del figures["brier"], figures["log_loss"]
    assert read_run(write_run(run)) == run


@pytest.mark.parametrize("temperature", [0.01, 0.010000054, 100.0])
def test_read_run_with_a_temperature_at_a_bound_does_not_use_it(
    temperature: float, tmp_path: Path
) -> None:
    fit = {"threshold": 0.5, "temperature": temperature, "images": 9, "notes": []}
    found = read_run(write_run(make_run(tmp_path / "run", fit=fit))).metrics
    assert found["fit"]["temperature"] is None and found["fit"]["threshold"] == 0.5
    assert "is at a bound of its search: the fit has failed" in found["fit"]["notes"][0]
    rows = [*found["generators"].values(), found["mean"]]
    assert {one["ece_calibrated"] for one in rows} == {None}
    assert None not in {one["ece"] for one in rows if one.get("status", "ok") == "ok"}


def test_read_run_with_a_temperature_off_the_bounds_keeps_it(tmp_path: Path) -> None:
    fit = {"threshold": 0.5, "temperature": 0.02, "images": 9, "notes": []}
    run = make_run(tmp_path / "run", fit=fit)
    assert read_run(write_run(run)) == run


@pytest.mark.parametrize("name", ["metrics.json", "config.yaml", "scores.parquet"])
def test_read_run_without_a_file_names_it(name: str, tmp_path: Path) -> None:
    folder = write_run(make_run(tmp_path / "run", generators=("empty",)))
    (folder / name).unlink()
    with pytest.raises(GenspotError, match=name.replace(".", r"\.")):
        read_run(folder)


@pytest.mark.parametrize(
    "content", ["{", "[]", "null", '{"generators": {}, "mean": {}}', "[" * 100_000, "9" * 5000]
)
def test_read_run_with_wrong_metrics_says_so(content: str, tmp_path: Path) -> None:
    folder = write_run(make_run(tmp_path / "run", generators=("empty",)))
    (folder / "metrics.json").write_text(content)
    with pytest.raises(GenspotError, match="cannot be reported: ") as error:
        read_run(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("generators.sitd.ap", "NaN", "damaged .it holds NaN, which is not finite"),
        ("mean.ap", "-Infinity", "holds -Infinity"),
        ("confidence", "1e999", "holds 1e999"),
        ("generators.sitd.ap", '"high"', r"generators\.sitd\.ap: Input should be a valid number"),
        ("generators.sitd.ap", "true", r"generators\.sitd\.ap"),
        ("generators.sitd.ap", "null", "ap=None for the images of sitd"),
        ("generators.sitd.ap", None, r"has no generators\.sitd\.ap"),
        ("generators.sitd.real", "29", "30 real and 30 fake images of sitd, and metrics.json"),
        ("generators.sitd", None, "images of sitd, and metrics.json other numbers"),
        ("generators.other", None, "0 real and 0 fake images of more"),
        ("generators.sitd", "3", r"generators\.sitd: "),
        ("generators", "[1]", "generators: "),
        ("generators", None, "has no generators"),
        ("generators.sitd.clusters", '"14"', r"generators\.sitd\.clusters"),
        ("clusters", '["sitd"]', "clusters: "),
        ("mean", "null", "mean: "),
        ("mean.ap", None, r"has no mean\.ap"),
        ("trained_on.model", "{}", r"has no trained_on\.model\.name"),
    ],
)
def test_read_run_names_the_entry_that_is_wrong(
    place: str, value: str | None, expected: str, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run", generators=("sitd",))
    node, (*parents, last) = run.metrics, place.split(".")
    for key in parents:
        node = node[key]
    if last == "other":
        node["more"] = node["sitd"]
    elif value is None:
        del node[last]
    else:
        node[last] = "VALUE"
    folder = write_run(run)
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text.replace('"VALUE"', str(value)))
    message = error_of(read_run, folder)
    assert message.startswith(f"{folder} cannot be reported: ")
    assert re.search(expected, message)


def test_read_run_without_a_score_names_the_generator(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("sitd",))
    folder = write_run(replace(run, scores=run.scores.slice(0, 0)))
    assert "0 real and 0 fake images of sitd" in error_of(read_run, folder)
