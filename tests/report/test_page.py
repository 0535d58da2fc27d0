from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from genspot.evaluation.intervals import ap_over_seeds
from genspot.report.gallery import pick_ranks
from genspot.report.grades import grade
from genspot.report.page import render_report
from genspot.report.tables import EXPORTED_MEASURES, format_signed
from helpers.report_page import check_in_browser, parse_page, result_cells
from helpers.report_runs import COMPLETE, make_run, percent


@pytest.mark.parametrize("report", ["single", "ablation"])
def test_page_shows_every_figure_of_the_metrics(
    report: str, request: pytest.FixtureRequest
) -> None:
    runs, _, page = request.getfixturevalue(report)
    cells = result_cells(page)
    for run in runs:
        for generator, figures in run.results.items():
            key = (run.label, generator)
            shown = {name[2]: text for name, text in cells.items() if name[:2] == key}
            for measure in EXPORTED_MEASURES:
                value = figures[measure]
                decimal = "–" if value is None else f"{value:.3f}"
                assert shown[measure] == (decimal if measure == "log_loss" else percent(value))
            low, high = map(percent, figures["ap_interval"] or (None, None))
            assert shown["ap_interval"] == ("–" if low == "–" else f"{low} – {high}")
            assert shown["images"].split()[0] == str(figures["images"])
            assert len(runs) == 1 or shown.get("", "–") == percent(figures["ap"])
            for rate in ("fpr", "tpr"):
                ends = [percent(end) for end in figures.get(f"{rate}_interval") or ()]
                expected = f"{percent(figures.get(rate))} [{' – '.join(ends)}]" if ends else "–"
                assert shown.get(rate, "–") == expected
        assert (run.label, "mean", "published_acc") not in cells  # no generator has one
        assert cells[run.label, "sim_nearest", "published"] == "90.0 (unconfirmed)"
        difference = f"{100 * (run.results['sim_nearest']['ap'] - 0.9):+.1f}".replace("-", "−")
        assert cells[run.label, "sim_nearest", "difference"] == difference


def test_page_of_one_run_explains_it_with_the_figures_of_its_tables(single, ablation) -> None:
    (run,), _, page = single
    cells, shown = result_cells(page), {}
    for panel in parse_page(page).iter("article"):
        shown[panel.get("data-generator")] = "".join(panel.find("p").itertext())
    assert set(shown) == {*COMPLETE, "only_fakes"}
    called = cells[run.label, "only_fakes", "tpr"]
    assert shown["only_fakes"] == f"Fakes only: {called} percent called fake"
    for name in COMPLETE:
        ap, interval = (cells[run.label, name, key] for key in ("ap", "ap_interval"))
        assert shown[name] == f"{grade(run.results[name]).capitalize()}: AP {ap} [{interval}]"
    ids = [section.get("id") for section in parse_page(page).iter("section")]
    explained = ["question", "pictures", "answer", "spectra", "threshold", "own-photo"]
    assert ids[: len(explained) + 1] == [*explained, "results"]
    sections = {section.get("id") for section in parse_page(ablation.page).iter("section")}
    assert not sections & {*explained}


def test_page_of_one_class_leaves_out_spectra_and_threshold(tmp_path: Path) -> None:
    page = render_report([make_run(tmp_path / "run", generators=("only_fakes",))], "A")
    sections = {part.get("id") for part in parse_page(page["report.html"]).iter("section")}
    assert {"question", "pictures", "answer", "own-photo", "results"} <= sections
    assert not sections & {"spectra", "threshold", "precision-recall", "reliability"}


def test_page_of_several_runs_compares_them(ablation, tmp_path: Path) -> None:
    assert "Of 7 runs that differ in aug and degradations" in ablation.page
    assert ". Called fake: " in ablation.page
    assert "resize_0.5 then jpeg_75" in ablation.page
    assert re.search(r"<td>(<strong>)?[+−]\d+\.\d \[[+−]\d+\.\d, [+−]\d+\.\d\]", ablation.page)
    assert "(other images)" not in ablation.page
    other = make_run(tmp_path / "run", images=tmp_path / "others")
    assert "(other images)" in render_report([ablation.runs[0], other], "Two")["report.html"]


def test_page_of_several_seeds_shows_their_ap_and_interval(trainings) -> None:
    cells = result_cells(trainings.page)
    second, zeroth, first = trainings.runs[:3]
    scores = [zeroth.scores, first.scores, second.scores]  # in the order of the seeds
    expected = ap_over_seeds(scores, zeroth.metrics["confidence"], zeroth.real_sets)
    for name, one in {**expected["generators"], "mean": expected["mean"]}.items():
        low, high = map(percent, one["interval"])
        assert cells["none over 3 seeds", name, ""] == f"{percent(one['ap'])} [{low} – {high}]"
    assert cells["none over 3 seeds", "empty", ""] == "–"
    labels = {label for label, _, _ in cells if " over " in label}
    assert labels == {"none over 3 seeds", "größer & <besser> over 3 seeds"}


def test_page_text_from_outside_is_escaped(single, ablation) -> None:
    for page in (single.page, ablation.page):
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "a<b" not in page
        assert "a&lt;b&amp;c" in page
        assert "größe_$5%" in page


def test_page_shows_hostile_names_and_paths_as_text(tmp_path: Path) -> None:
    hostile = """it's "100%" #1 <b onload='x'>\x1b\u202e"""
    folder = tmp_path / hostile
    run = make_run(folder / "run", generators=(hostile,), images=folder / "images")
    page = render_report([run], hostile)["report.html"]
    assert not set(page) & {"\x1b", "\u202e"}
    elements = list(parse_page(page).iter())
    assert not [element for element in elements if element.get("onload")]
    shown = hostile.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert [element.text for element in elements if element.tag == "h1"] == [shown]
    titles = [element.get("title") for element in elements if element.get("class") == "file"]
    assert len(titles) == 14
    assert all(title.startswith(str(tmp_path / shown)) for title in titles)
    pictures = [element.get("src") for element in elements if element.tag == "img"]
    assert len(pictures) >= 13
    assert all(re.match("data:image/(jpeg|png);base64,", picture) for picture in pictures)


def test_page_needs_no_other_file_and_its_ids_are_unique(single, ablation) -> None:
    for text in (single.page, ablation.page):
        elements = list(parse_page(text).iter())
        links = ("src", "href", "action", "data")
        addresses = {element.get(key, "#main") for element in elements for key in links}
        assert all(address.startswith(("data:", "#")) for address in addresses)
        assert "@import" not in text
        assert "http" not in re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)
        ids = [element.get("id") for element in elements if element.get("id")]
        assert len(ids) == len(set(ids))
        targets = {address[1:] for address in addresses if address[0] == "#"}
        assert {"main", "ranking"} <= targets <= set(ids)
        tags = {element.tag for element in elements}
        assert {"header", "main", "nav", "footer", "caption", "svg"} <= tags
        assert len(text) < 5_000_000


def test_page_gallery_is_in_the_order_of_the_logits(single) -> None:
    (run,), _, page = single
    rows = [row for row in parse_page(page).iter("ul") if row.get("data-kind")]
    assert len(rows) == 2 * 4 + 1  # four complete generators, and the fakes of one
    for row in rows:
        images = run.images[row.get("data-generator")]
        ordered = np.sort(images.logits[images.labels == (row.get("data-kind") == "fake")])
        logits = [float(picture.get("data-logit")) for picture in row]
        assert logits == [ordered[index] for index, _ in pick_ranks(len(ordered))]
        assert (logits[0], logits[-1]) == (ordered[0], ordered[-1])


def test_render_report_of_equal_runs_gives_equal_bytes_with_the_page_last(ablation) -> None:
    runs = [ablation.runs[0], *ablation.runs[-2:]]
    files = render_report(runs, "Again")
    assert files == render_report(runs, "Again")
    assert list(files) == ["results.csv", "results.md", "results.tex", "report.html"]


def test_page_says_that_a_temperature_is_not_fitted_and_shows_none(tmp_path: Path) -> None:
    note = "No temperature is fitted, which is no error: the reason."
    fit = {"threshold": -1.25, "temperature": None, "images": 60, "notes": [note]}
    run = make_run(tmp_path / "run", fit=fit)
    for figures in run.results.values():
        figures["ece_calibrated"] = None
    files = render_report([run], "A run")
    page = files["report.html"]
    assert page.count(note) == 1
    assert "logit threshold -1.25, temperature not fitted (60 images)" in page
    assert not re.search("after temperature scaling|>after<", page + files["results.md"])
    assert "before temperature scaling</li>" not in page


def test_page_of_runs_without_any_ap_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", generators=("only_fakes", "empty"))
    page = render_report([run], "Nothing")["report.html"]
    assert "so there is no ranking and no AP" in page
    assert ("mean", "ap") not in {key[1:] for key in result_cells(page)}
    assert "None of the 2 runs has an AP" in render_report([run, run], "Nothing")["report.html"]
    run = make_run(tmp_path / "empty", generators=("empty",))
    for runs in ([run], [run, run]):
        assert not re.search(r"\bNone\b [^o]", render_report(runs, "Nothing")["report.html"])


def test_page_of_several_runs_compares_sets_of_one_class(tmp_path: Path) -> None:
    names = ("sim_nearest", "only_fakes", "only_reals")
    runs = [
        make_run(tmp_path / str(seed), seed, shift=2 * seed, generators=names) for seed in (0, 1)
    ]
    page = render_report(runs, "Two")["report.html"]
    (table,) = [
        one
        for one in parse_page(page).iter("table")
        if "McNemar" in "".join(one.find("caption").itertext())
    ]
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert rows[0] == ["run", "only_fakes", "only_reals"]
    for column, (name, rate) in enumerate((("only_fakes", "tpr"), ("only_reals", "fpr")), 1):
        first, second = (run.results[name][rate] for run in runs)
        assert rows[1][column].startswith(f"{percent(first)} [")
        assert rows[2][column].startswith(f"{percent(second)} [")
        assert rows[2][column].endswith(f" ({format_signed(second - first)})")
    assert [cell.find("strong") is not None for cell in list(table.iter("tr"))[2]][1:] == [
        True,
        False,
    ]


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("report", ["single", "ablation", "trainings"])
def test_page_in_a_browser_has_no_errors_and_fits_the_width(
    report: str, width: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    check_in_browser(request.getfixturevalue(report).page, width, tmp_path)
