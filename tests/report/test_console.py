from __future__ import annotations

from genspot.report.console import make_console, notes
from genspot.report.tables import CONSOLE_COLUMNS, result_table
from helpers.report_runs import make_run, percent, results_of


def test_make_console_prints_text_literally(capsys) -> None:
    make_console().print("x[/b].png [red] :smile:")
    assert capsys.readouterr().out == "x[/b].png [red] :smile:\n"


def test_result_table_holds_the_figures_and_no_empty_column(single) -> None:
    (run,) = single.runs
    heading, rows = result_table(run.metrics, CONSOLE_COLUMNS)
    assert "published accuracy" not in heading
    assert [row[0] for row in rows][-3:] == [
        "empty (empty)",
        "only_fakes (one class only)",
        "mean",
    ]
    for row, figures in zip(rows, results_of(run).values(), strict=True):
        cells = dict(zip(heading, row, strict=True))
        assert cells["AP"] == percent(figures["ap"])
        assert cells["accuracy"] == percent(figures["acc"])
        assert cells["shortcut baseline AP"] == percent(figures["shortcut_baseline_ap"])
        assert cells["images"] == str(figures["images"])
    assert dict(zip(heading, rows[0], strict=True))["published AP"] == "90.0 (unconfirmed)"


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
