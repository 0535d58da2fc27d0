from __future__ import annotations

from genspot.report.console import make_console, notes, print_results
from helpers.report_runs import make_run, percent


def test_make_console_prints_text_literally(capsys) -> None:
    make_console().print("x[/b].png [red] :smile:")
    assert capsys.readouterr().out == "x[/b].png [red] :smile:\n"


def test_print_results_shows_the_table_without_empty_columns(single, capsys) -> None:
    (run,) = single.runs
    print_results(run.metrics, run.folder)
    printed = capsys.readouterr().out
    for text in ("90.0 (unconfirmed)", "empty (empty)", "metrics.json"):
        assert text in printed
    assert percent(run.results["mean"]["ap"]) in printed
    assert "published accuracy" not in " ".join(printed.split())


def test_notes_count_padded_unreadable_and_missing_images(tmp_path) -> None:
    run = make_run(tmp_path / "run", generators=("first", "second"), unreadable_in_training=4)
    run.metrics["generators"]["first"] |= {"padded": 2, "unreadable": 3, "expected": 100}
    found = notes(run.metrics)
    assert found[0].startswith("Tested on the central 32 × 32 pixels of each image")
    assert found[1:5] == [
        "Images smaller than the crop and padded with zeros: first 2.",
        "Images unreadable and skipped: first 3.",
        "Unreadable images in training and validation, skipped: 4 (unreadable.csv).",
        "first is incomplete: 63 of 100 images found.",
    ]
