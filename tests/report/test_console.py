from __future__ import annotations

import pytest

from genspot.report.console import (
    make_console,
    notes,
    print_line,
    print_path,
    print_results,
    print_table,
)
from genspot.report.tables import format_estimate
from helpers.report_runs import make_run, percent, with_photographs


def test_make_console_prints_text_literally(capsys) -> None:
    make_console().print("x[/b].png [red] :smile:")
    assert capsys.readouterr().out == "x[/b].png [red] :smile:\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_printed_text_cannot_control_a_terminal(
    terminal: bool, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    hostile = "\x1b[2J\r\u202e[red].png"
    print_table(("image", "logit"), [(hostile, "1"), ("b\tc\n", "2")], title=hostile)
    print_line(hostile)
    print_path("report", hostile)
    printed = capsys.readouterr().out
    assert printed.count("\\x1b[2J\\r\\u202e[red].png") == 4
    assert "b\\tc\\n" in printed
    assert not set(printed) & {"\r", "\u202e"}
    assert "\x1b[2J" not in printed


def test_print_table_without_a_terminal_is_tab_separated(capsys) -> None:
    print_table(("image", "logit"), [("a b.png", "1")], title="Best")
    assert capsys.readouterr().out == "Best\nimage\tlogit\na b.png\t1\n"


def test_print_results_quietly_says_where_the_files_are(single, capsys) -> None:
    (run,) = single.runs
    print_results(run.metrics, run.folder, quiet=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["report", "scores", "metrics", "checkpoint"]
    assert lines[2].endswith("metrics.json")


def test_print_results_shows_the_table_without_empty_columns(single, capsys) -> None:
    (run,) = single.runs
    print_results(run.metrics, run.folder)
    printed = capsys.readouterr().out
    for text in ("90.0 (unconfirmed)", "empty (empty)", "metrics.json"):
        assert text in printed
    assert percent(run.results["mean"]["ap"]) in printed
    assert "published accuracy" not in " ".join(printed.split())


def test_notes_say_what_the_intervals_are_over(tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=("first", "second"))
    first = "Tested on the central 32 × 32 pixels of each image; intervals are 95% confidence "
    first += "intervals, over the "
    photographs = "photographs that the images come from"
    assert notes(run.metrics)[0] == f"{first}images of each class."
    drawn = with_photographs(run).metrics
    assert notes(drawn)[0] == f"{first}{photographs} (10 in a test set)."
    drawn["generators"]["second"]["clusters"] = 14
    assert notes(drawn)[0] == f"{first}{photographs} (10 to 14 in a test set)."
    drawn["generators"]["second"]["clusters"] = None
    expected = f"{first}images of each class; those of first over the {photographs} (10 in a test"
    assert notes(drawn)[0] == f"{expected} set)."


@pytest.mark.parametrize("names", [("only_fakes",), ("first", "only_reals")])
def test_print_results_shows_the_share_of_a_set_of_one_class(names, tmp_path, capsys) -> None:
    run = make_run(tmp_path / "run", generators=names)
    print_results(run.metrics, run.folder)
    table = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    place, rate = table[0].index("called fake"), "tpr" if names[0] == "only_fakes" else "fpr"
    row = table[len(names)]
    assert row[0] == f"{names[-1]} ({names[-1][5:]} only)"
    assert row[place] == format_estimate(run.results[names[-1]], rate)
    assert [line[0] for line in table if line[0].startswith("mean")] == ["mean (1 set)"][
        : len(names) - 1
    ]
    assert "A set of one class has no AP" in notes(run.metrics)[1]


def test_notes_say_what_is_not_fitted(tmp_path) -> None:
    fit = {"threshold": None, "temperature": None, "images": 2, "notes": ["Not fitted."]}
    assert "Not fitted." in notes(make_run(tmp_path / "run", fit=fit).metrics)
    assert "Not fitted." not in notes(make_run(tmp_path / "run", fit=None).metrics)


def test_notes_count_padded_unreadable_and_missing_images(tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=("first", "second"), unreadable_in_training=4)
    run.metrics["generators"]["first"] |= {"padded": 2, "unreadable": 3, "expected": 100}
    found = notes(run.metrics)
    assert found[0].startswith("Tested on the central 32 × 32 pixels of each image")
    run.metrics["notes"] = ["The training and test sets share images."]
    assert notes(run.metrics) == [found[0], *run.metrics["notes"], *found[1:]]
    assert found[1:5] == [
        "Images smaller than the crop and padded with zeros: first 2.",
        "Images unreadable or left out (unreadable.csv): first 3.",
        "Unreadable or left out in validation: 4 (unreadable.csv).",
        "first is incomplete: 63 of 100 images found.",
    ]
    run.metrics["training_images"] = {"real": 8, "fake": 8}
    expected = "Unreadable or left out in training and validation: 4 (unreadable.csv)."
    assert expected in notes(run.metrics)
    run.metrics["generators"]["first"] |= {"unreadable": 42, "left_out": 2, "expected": 100}
    assert not any("incomplete" in note for note in notes(run.metrics))
    run.metrics["generators"]["first"]["left_out"] = 3  # does not stand for a missing image
    assert "first is incomplete: 99 of 100 images found." in notes(run.metrics)
