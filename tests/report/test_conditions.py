"""Tests under conditions beside the plain one: which runs belong together, and the drop."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from genspot.evaluation.intervals import paired_difference
from genspot.report.conditions import condition_groups, covers
from genspot.report.page import render_report
from genspot.report.runs import Run, label_runs
from genspot.report.tables import format_signed
from helpers.report_runs import make_run, with_photographs

NAMES = ("a", "b", "only_fakes")


def make(folder: Path, protocol: str, shift: float = 0.0, seed: int = 0, **about: Any) -> Run:
    """Return a test by one checkpoint for each seed; `shift` lowers the logits of the fakes."""
    name, images = f"{protocol}{seed}", folder / "images"
    about = {"checkpoint": f"{folder}/{seed}.ckpt", "protocol": protocol} | about
    trained = {"seed": seed, **about.pop("trained_on", {})}
    generators = about.pop("generators", NAMES)
    run = make_run(folder / name, seed, shift, generators, images, trained_on=trained, **about)
    return run


@pytest.fixture
def sweep(tmp_path: Path) -> list[Run]:
    """A plain test, one of images encoded alike, and one of encoded fakes."""
    shifts = {"none": 0.0, "matched_jpeg_96": 1.0, "fakes_jpeg_96": 2.0}
    return label_runs([make(tmp_path, name, shift) for name, shift in shifts.items()])


def test_drop_is_the_plain_ap_minus_that_under_the_condition(sweep: list[Run]) -> None:
    (group,) = condition_groups(sweep)
    assert (group.plain, group.runs) == (sweep[0], sweep[1:])
    assert covers([group], sweep)
    assert group.rows == ["a", "b", "mean"]
    for run, drops in zip(group.runs, group.drops, strict=True):
        pairs = paired_difference(group.plain.scores, run.scores)
        for name in ("a", "b"):
            expected = group.plain.results[name]["ap"] - run.results[name]["ap"]
            assert drops[name].value == expected > 0
            assert drops[name].interval == pytest.approx(pairs["generators"][name]["interval"])
    table = group.table()
    heading = ["generator", "no protocol", "matched_jpeg_96", "drop", "fakes_jpeg_96", "drop"]
    assert table.heading == heading
    assert [row[0] for row in table.rows] == group.rows
    drop = group.drops[1]["mean"]
    assert drop.interval is not None and drop.excludes_zero
    ends = ", ".join(map(format_signed, drop.interval))
    assert table.rows[-1][-1] == f"{format_signed(drop.value)} [{ends}]"


def test_report_has_the_drop_in_the_page_and_in_every_export(sweep: list[Run]) -> None:
    files = render_report(sweep, "Conditions")
    (group,) = condition_groups(sweep)
    text = group.drops[0]["b"].text
    assert text in files["report.html"] and "Conditions of the test" in files["report.html"]
    assert "Differences from" not in files["report.html"]  # the same figures once more
    assert "## Conditions of the test" in files["results.md"]
    assert text.replace("[", r"\[").replace("]", r"\]") in files["results.md"]
    assert "generator & no protocol & matched\\_jpeg\\_96 & drop" in files["results.tex"]
    rows = list(csv.DictReader(io.StringIO(files["results.csv"])))
    for row in rows:
        drops = dict(zip((run.label for run in group.runs), group.drops, strict=True))
        drop = drops.get(row["run"], {}).get(row["generator"])
        assert row["ap_drop"] == ("" if drop is None else str(drop.value))
        ends = drop.interval if drop and drop.interval else ("", "")
        assert (row["ap_drop_low"], row["ap_drop_high"]) == tuple(map(str, ends))


def test_each_detector_is_compared_with_its_own_plain_test(tmp_path: Path) -> None:
    runs = [
        make(tmp_path, protocol, seed=seed)
        for seed in (0, 1)
        for protocol in ("none", "matched_jpeg_96")
    ]
    runs = label_runs(runs)
    groups = condition_groups(runs)
    assert [(group.choice, group.plain, group.runs) for group in groups] == [
        ("seed 0", runs[0], [runs[1]]),
        ("seed 1", runs[2], [runs[3]]),
    ]
    assert groups[0].table().caption.startswith("seed 0: AP in percent")
    assert not covers(groups, runs)
    assert "Differences from" in render_report(runs, "Seeds")["report.html"]


def test_plain_test_of_a_training_under_a_protocol_has_that_protocol(tmp_path: Path) -> None:
    trained = {"trained_on": {"protocol": "fit_9"}}
    names = ("none", "fit_9", "matched_jpeg_96")
    runs = label_runs([make(tmp_path, name, **trained) for name in names])
    (group,) = condition_groups(runs)
    assert group.plain is runs[1]
    assert group.table().heading[1:3] == ["protocol fit_9", "matched_jpeg_96, then protocol fit_9"]
    assert condition_groups([runs[0], runs[2]]) == []


@pytest.mark.parametrize(
    "other", [{"crop": None}, {"degradations": ["jpeg_50"]}, {"checkpoint": "other.ckpt"}], ids=str
)
def test_runs_that_differ_in_more_are_not_put_together(
    other: dict[str, Any], tmp_path: Path
) -> None:
    runs = [make(tmp_path, "none"), make(tmp_path, "fakes_jpeg_96", **other)]
    assert condition_groups(label_runs(runs)) == []


def test_condition_that_left_images_out_has_a_drop_without_an_interval(tmp_path: Path) -> None:
    runs = [make(tmp_path, "none"), make(tmp_path, "matched_fit_9", generators=NAMES[:1])]
    (group,) = condition_groups(label_runs(runs))
    table = group.table()
    assert table.heading[-1] == "drop (other images)"
    drops = group.drops[0]
    assert drops["a"].interval is None and drops["a"].value is not None
    assert drops["b"].text == drops["mean"].text == "–"


def test_drop_is_over_photographs_where_these_are_drawn(sweep: list[Run]) -> None:
    drawn = [with_photographs(run) for run in sweep]
    (group,), (plain,) = condition_groups(drawn), condition_groups(sweep)
    pairs = paired_difference(drawn[0].scores, drawn[1].scores, 0.95, None, drawn[0].clusters)
    expected = pairs["generators"]["a"]["interval"]
    assert group.drops[0]["a"].interval == pytest.approx(expected)
    assert group.drops[0]["a"].interval != plain.drops[0]["a"].interval
