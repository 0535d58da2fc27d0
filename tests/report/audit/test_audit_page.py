"""The page of an audit as a reader and a browser see it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from genspot.evaluation.overlaps import ImageSet
from genspot.evaluation.shortcut_traits import DEFINITIONS
from genspot.evaluation.shortcuts import ALL
from genspot.report.audit import pictures
from genspot.report.audit.page import render_audit
from helpers import faulty_sets
from helpers.audits import make_audit
from helpers.report_page import check_in_browser, parse_page, text_of

GOOD, BAD = ImageSet("good", "test"), ImageSet("b&d", "test")
ALONE, TRAIN = ImageSet("alone", "test"), ImageSet("own", "train")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    faulty_sets.clean_png(folder / "good", seed=1, count=6)
    faulty_sets.file_format(folder / "bad", seed=2, count=6)
    faulty_sets.clean_png(folder / "alone", seed=3, count=6)
    shutil.rmtree(folder / "alone" / "1_fake")
    faulty_sets.clean_png(folder / "own", seed=4, count=6)
    for number in (1, 2, 3):
        source = folder / "good" / "0_real" / f"00{number}.png"
        shutil.copy(source, folder / "own" / "0_real" / f"copy_{number}.png")
    return folder


def make_page(folder: Path) -> str:
    audit = make_audit(
        {
            GOOD: folder / "good",
            BAD: folder / "bad",
            ALONE: folder / "alone",
            TRAIN: folder / "own",
        },
        {
            GOOD: {"format": "none", "size": "none", "colour": "none", ALL: "none"},
            BAD: {"format": "decisive", "size": "none", "colour": "slight", ALL: "decisive"},
            TRAIN: {"format": "none", "size": "none", "colour": "none", ALL: "slight"},
        },
    )
    return render_audit(audit)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return make_page(folder)


@pytest.fixture(scope="module")
def root(page: str) -> ElementTree.Element:
    return parse_page(page)


def test_page_begins_with_the_verdict_on_each_set(root: ElementTree.Element):
    assert text_of(root.find(".//p[@class='headline']")) == (
        "Do not trust results with good and b&d as they are: a detector can do well there "
        "without any trace of a generator. Read results with own (training set) with care. "
        "Not judged: alone."
    )
    verdicts = {
        one.get("data-judgement"): [entry.get("data-set") for entry in one.iterfind("li")]
        for one in root.iterfind(".//ul[@class='verdicts']")
    }
    assert verdicts == {
        "decisive": ["good", "b&d"],
        "slight": ["own (training set)"],
        "not judged": ["alone"],
    }
    entry = text_of(root.find(".//li[@data-set='b&d']"))
    assert "Real and fake are told apart by format (AP 98.0)." in entry
    assert "What to do: task=harmonize for the format." in entry
    assert "3 of 12 images (25.0%) are in the training set too." in text_of(
        root.find(".//li[@data-set='good']")
    )
    assert "no two classes to tell apart" in text_of(root.find(".//li[@data-set='alone']"))


def test_page_has_a_table_of_the_traits_that_vary_with_judgements_in_words(
    root: ElementTree.Element,
):
    cells = {
        (row.get("data-set"), cell.get("data-trait")): text_of(cell)
        for row in root.iterfind(".//table[@class='judged']/tbody/tr")
        for cell in row.iterfind("td[@data-trait]")
    }
    assert cells["b&d", "format"] == "98.0 [97.0, 99.0] decisive"
    assert cells["b&d", "colour"] == "70.0 [69.0, 71.0] slight"
    assert cells["good", "format"] == "same"
    assert {name for _, name in cells} == {"format", "colour", ALL}
    assert "the same in all images or in none: size." in text_of(
        root.find(".//section[@id='traits']")
    )


def test_page_shows_each_fault_with_its_fix_histogram_and_typical_images(
    root: ElementTree.Element,
):
    section = root.find(".//section[@id='differences']")
    assert section is not None
    articles = {one.get("data-trait"): one for one in section.iterfind(".//article")}
    assert articles.keys() == {"format", "colour", ALL}
    article = articles["format"]
    assert "What to do: task=harmonize for the format." in text_of(article)
    captions = [text_of(one) for one in article.iterfind(".//figcaption")]
    assert captions == ["typical real: WEBP (RGB)", "typical fake: PNG (RGB)"]
    assert len(article.findall(".//img")) == 4
    assert article.find(".//figure/svg") is not None
    assert "the format of <reals> differs" in str(article.find(".//figure/svg").get("aria-label"))


def test_page_shows_copies_side_by_side(root: ElementTree.Element):
    section = root.find(".//section[@id='duplicates']")
    assert section is not None
    assert "equal files: 3" in text_of(section)
    (article,) = section.iterfind(".//article[@data-rule='test images in the training set']")
    pairs = article.findall(".//div[@class='pair']")
    captions = [[text_of(one) for one in pair.iterfind(".//figcaption")] for pair in pairs]
    assert captions == [["good, real", "own (training set), real"]] * 2
    assert [one.text for one in pairs[0].iterfind(".//span")] == ["001.png", "copy_1.png"]


def test_page_says_how_it_was_measured_and_its_limits(root: ElementTree.Element):
    method = text_of(root.find(".//section[@id='method']"))
    rules = [[text_of(cell) for cell in row] for row in root.iterfind(".//table/tbody/tr")]
    assert ["test images in the training set", "images", "any", "more than 1%"] in rules
    assert "95% confidence" in method
    assert "flipped" in text_of(root.find(".//section[@id='limits']"))


def test_page_refers_to_nothing_outside_and_is_the_same_each_time(folder: Path, page: str):
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page)
    assert make_page(folder) == page


def test_page_of_a_clean_set_says_so(folder: Path):
    root = parse_page(
        render_audit(make_audit({GOOD: folder / "good"}, {GOOD: {"format": "none"}}))
    )
    assert text_of(root.find(".//p[@class='headline']")) == "Nothing was found against this set."
    assert "No image occurs twice" in text_of(root.find(".//section[@id='duplicates']"))
    assert "There is no difference to show." in text_of(root.find(".//section[@id='differences']"))


def test_titles_name_each_column_of_a_trait():
    columns = {column for one in DEFINITIONS for column in one.columns}
    assert columns == pictures.TITLES.keys()


def test_page_omits_pictures_beyond_its_limit(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "MAX_INLINE_CHARS", 1)
    page = make_page(folder)
    assert page.count("<img") == 2  # the first image, whole and its centre
    assert "omitted to limit the page size" in page


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [400, 1200])
def test_page_fits_the_browser(page: str, width: int, tmp_path: Path):
    check_in_browser(page, width, tmp_path)
