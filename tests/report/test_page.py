from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from genspot.evaluation.bootstrap import ap_over_seeds
from genspot.report.gallery import pick_ranks
from genspot.report.page import render_report
from genspot.report.tables import EXPORTED_MEASURES
from helpers.report_page import ReportPage, check_in_browser
from helpers.report_runs import make_run, percent, results_of


def test_render_report_of_one_run_shows_every_figure_of_its_metrics(single) -> None:
    (run,), cells = single.runs, ReportPage(single.page).cells
    for generator, figures in results_of(run).items():
        for measure in EXPORTED_MEASURES:
            assert cells["run_<1>", generator, measure] == percent(figures[measure])
        low, high = map(percent, figures["ap_interval"] or (None, None))
        interval = "–" if low == "–" else f"{low} – {high}"
        assert cells["run_<1>", generator, "ap_interval"] == interval
        assert cells["run_<1>", generator, "images"].split()[0] == str(figures["images"])
    assert cells["run_<1>", "sim_nearest", "published"] == "90.0 (unconfirmed)"
    difference = 100 * (results_of(run)["sim_nearest"]["ap"] - 0.9)
    shown = f"{difference:+.1f}".replace("-", "−")
    assert cells["run_<1>", "sim_nearest", "difference"] == shown


def test_render_report_of_several_runs_shows_every_figure_of_each(ablation) -> None:
    page = ReportPage(ablation.page)
    for run in ablation.runs:
        for generator, figures in results_of(run).items():
            assert page.by_run[run.label, generator] == percent(figures["ap"])
            for measure in EXPORTED_MEASURES:
                assert page.cells[run.label, generator, measure] == percent(figures[measure])
    assert "Of 7 runs that differ in aug and degradations" in ablation.page
    assert "resize_0.5 then jpeg_75" in ablation.page
    assert re.search(r"<td>(<strong>)?[+−]\d+\.\d \[[+−]\d+\.\d, [+−]\d+\.\d\]", ablation.page)
    assert "(other images)" not in ablation.page


def test_render_report_of_several_seeds_shows_their_ap_and_interval(trainings) -> None:
    page = ReportPage(trainings.page)
    first = trainings.runs[:3]
    scores = [first[1].scores, first[2].scores, first[0].scores]  # in the order of the seeds
    expected = ap_over_seeds(scores, first[1].bootstrap, first[0].real_sets)
    for name, one in {**expected["generators"], "mean": expected["mean"]}.items():
        low, high = map(percent, one["interval"])
        assert page.by_run["none over 3 seeds", name] == f"{percent(one['ap'])} [{low} – {high}]"
    assert page.by_run["none over 3 seeds", "empty"] == "–"
    labels = {label for label, _ in page.by_run if " over " in label}
    assert labels == {"none over 3 seeds", "größer & <besser> over 3 seeds"}


def test_page_text_from_outside_is_escaped(single, ablation) -> None:
    for page in (single.page, ablation.page):
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "a<b" not in page
        assert "a&lt;b&amp;c" in page
        assert "größe_$5%" in page


def test_page_needs_no_other_file_and_its_ids_are_unique(single, ablation) -> None:
    for text in (single.page, ablation.page):
        page = ReportPage(text)
        assert page.addresses
        assert all(address.startswith(("data:", "#")) for address in page.addresses)
        assert "@import" not in text
        assert "http" not in re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
        assert len(page.ids) == len(set(page.ids))
        assert {address[1:] for address in page.addresses if address[0] == "#"} <= set(page.ids)
        assert {"header", "main", "nav", "footer", "caption", "svg"} <= set(page.tags)
        assert len(text) < 5_000_000


def test_page_gallery_is_in_the_order_of_the_logits(single) -> None:
    rows = ReportPage(single.page).gallery
    assert len(rows) == 2 * 4 + 1  # four complete generators, and the fakes of one
    for attributes, logits in rows:
        images = single.runs[0].images[attributes["data-generator"]]
        ordered = np.sort(images.logits[images.labels == (attributes["data-kind"] == "fake")])
        assert logits == [ordered[index] for index, _ in pick_ranks(len(ordered))]
        assert (logits[0], logits[-1]) == (ordered[0], ordered[-1])


def test_render_report_of_equal_runs_gives_equal_bytes(ablation) -> None:
    runs = [ablation.runs[0], *ablation.runs[-2:]]
    assert render_report(runs, "Again") == render_report(runs, "Again")


def test_render_report_puts_the_page_last(single) -> None:
    assert list(single.files) == ["results.csv", "results.md", "results.tex", "report.html"]


def test_render_report_marks_runs_on_other_images(ablation, tmp_path: Path) -> None:
    other = make_run(tmp_path / "run", images=tmp_path / "others")
    assert "(other images)" in render_report([ablation.runs[0], other], "Two")["report.html"]


def test_render_report_omits_columns_without_figures(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    absent = {"acc_val_threshold", "ece_calibrated", "shortcut_baseline_ap"}
    for figures in results_of(run).values():
        figures |= dict.fromkeys(absent)
    cells = ReportPage(render_report([run], "x")["report.html"]).cells
    measures = {measure for _, _, measure in cells}
    assert {"ap", "acc", "acc_oracle", "ece"} <= measures
    assert not measures & absent


def test_render_report_of_runs_without_any_ap_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("only_fakes", "empty"))
    assert "so there is no AP" in render_report([run], "Nothing")["report.html"]
    assert "None of the 2 runs has an AP" in render_report([run, run], "Nothing")["report.html"]


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("report", ["single", "ablation", "trainings"])
def test_page_in_a_browser_has_no_errors_and_fits_the_width(
    report: str, width: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    check_in_browser(request.getfixturevalue(report).page, width, tmp_path)
