"""The page of photos as a reader and a browser see it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from genspot.evaluation.evidence import CANNOT_SAY
from genspot.report import verdict_page
from genspot.report.verdict_page import (
    PatchMap,
    Pictures,
    render_verdicts,
    stylesheet,
)
from genspot.report.verdict_words import NOT_MEANT
from helpers.answers import make_answer, make_deliveries, make_detector_answer, make_document
from helpers.report_page import check_in_browser, parse_page, text_of

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q"
    "DwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = """<img src=x onerror='x'>"&\x1b\u202e.png"""
CLAIM = {"kind": "generated", "source": "PNG text", "field": "parameters", "value": "<b>a cat</b>"}
OTHER = {"kind": "other", "source": "EXIF", "field": "DateTime", "value": "2024"}
PICTURES = Pictures(PIXEL, PIXEL, {"patches": PatchMap(PIXEL, 3.5)}, {"quickstart": (0.5, 0.25)})


def make_several() -> dict[str, Any]:
    """Return four photos: one of two detectors, one ungraded, one unlike, one unreadable."""
    each = (("whatsapp", 2.0, "moderate evidence"), ("x_small", None, "too large"))
    first = make_detector_answer(deliveries=make_deliveries(*each))
    second = make_detector_answer(
        "patches", grade="no evidence", p_value=0.5, likelihood_ratio=1.5, prior=0.1
    )
    unlike = {"grade": CANNOT_SAY, "p_value": None, "reason": "it is <tiny>", "padded": True}
    joined = {"grade": "weak evidence", "p_value": 0.0674, "detectors": 2, "decision": None}
    return make_document(
        make_answer(
            f"/folder/{HOSTILE}",
            first,
            second,
            agreement="The detectors disagree.",
            combined=joined,
            claims={"claims": [CLAIM, OTHER], "notes": ["A block was left out."]},
        ),
        make_answer("b.png", make_detector_answer(grade=None, p_value=None)),
        make_answer("c.png", make_detector_answer(**unlike, fpr=0.01, decision=CANNOT_SAY)),
        make_answer("d.png", unreadable="the file is cut off"),
    )


@pytest.fixture(scope="module")
def page() -> str:
    return render_verdicts(make_several(), {f"/folder/{HOSTILE}": PICTURES})


@pytest.fixture(scope="module")
def root(page: str) -> ElementTree.Element:
    return parse_page(page)


def answers_of(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [one for one in root.iter("article") if one.get("class") == "answer"]


def part_of(answer: ElementTree.Element, title: str) -> ElementTree.Element | None:
    found = [one for one in answer.iter("section") if one.get("aria-label") == title]
    return found[0] if found else None


def test_page_of_one_photo_begins_with_grade_sentence_and_what_they_do_not_mean() -> None:
    page = render_verdicts(make_document(make_answer("/x/a.png", make_detector_answer())), {})
    text = text_of(parse_page(page).find("body"))
    parts = [
        *("a.png", "moderate evidence of generation", "The sentence on /x/a.png."),
        *("What this means", "Between 1 and 5 in 100 real photos", "does not mean", *NOT_MEANT),
        *("What the file says of itself", "How often real photos score as high"),
        *("this photo: 3.4%", "9 of 296 real photos", "The limits."),
    ]
    places = [text.lower().index(part.lower()) for part in parts]
    assert places == sorted(places)
    assert "no picture of this photo" in text
    assert 'aria-label="Photos"' not in page  # no list of a single photo


def test_page_of_several_photos_lists_them_with_their_grades(root: ElementTree.Element) -> None:
    (listed,) = (one for one in root.iter("nav"))
    rows = [text_of(row) for row in listed.iter("li")]
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert rows == [
        f"{shown} quickstart: moderate evidence of generation patches: no evidence of generation",
        "b.png looks generated (uncalibrated)",
        "c.png cannot say",
        "d.png unreadable",
    ]
    targets = [link.get("href", "") for link in listed.iter("a")]
    assert targets == [f"#{one.get('id')}" for one in answers_of(root)]


def test_answer_of_several_detectors_has_them_side_by_side(root: ElementTree.Element) -> None:
    answer = answers_of(root)[0]
    assert "The detectors disagree." in text_of(answer)
    assert "Together: weak evidence, at a false-alarm rate of 6.7%" in text_of(answer)
    part = part_of(answer, "How often real photos score as high")
    assert part is not None
    cards = [text_of(card) for card in part.iter("article")]
    assert cards[0].startswith("quickstart moderate evidence of generation this photo: 3.4%")
    assert "12%" in cards[0]  # half of the width and a quarter of the height
    assert cards[1].startswith("patches no evidence of generation this photo: 50.0%")
    assert "1.5 times as likely" in cards[1]


def test_answer_has_claims_apart_and_says_that_they_prove_nothing(
    root: ElementTree.Element,
) -> None:
    first, second, *_ = answers_of(root)
    claims = text_of(part_of(first, "What the file says of itself"))
    assert "generated: parameters “<b>a cat</b>” (PNG text)" in claims
    assert "DateTime" not in claims
    assert "prove nothing" in claims
    assert "A block was left out." in claims
    assert "nothing of its origin" in text_of(part_of(second, "What the file says of itself"))


def test_answer_without_a_reference_has_no_scale(root: ElementTree.Element) -> None:
    _, ungraded, unlike, unreadable = answers_of(root)
    assert not list(ungraded.iter("svg")) + list(unlike.iter("svg"))
    assert "Not known: this detector has no collection" in text_of(ungraded)
    assert "Why: it is <tiny>." in text_of(unlike)
    assert "Cannot say at a false-alarm rate of 1%." in text_of(unlike)
    assert "smaller than what the detector looks at" in text_of(unlike)
    assert "The sentence on d.png." in text_of(unreadable)
    assert "How often" not in text_of(unreadable)


def test_answer_shows_deliveries_and_why_one_has_no_score(root: ElementTree.Element) -> None:
    part = part_of(answers_of(root)[0], "As messengers and social networks deliver it")
    assert part is not None
    rows = [text_of(row) for row in part.iter("tr")]
    assert rows == ["deliveryscore", "whatsapp 2.0", "x small no score: too large"]
    assert "an alarm may begin at another score" in text_of(part)  # each against its like
    assert "quickstart: unstable" in text_of(part)
    assert part_of(answers_of(root)[1], "As messengers and social networks deliver it") is None


def test_answer_counts_no_deliveries_where_nothing_can_be_said_of_the_photo() -> None:
    deliveries = make_deliveries(("whatsapp", 2.0, "no evidence"), word="not known")
    deliveries |= {"kept": 0, "total": 0}
    one = make_detector_answer(grade=CANNOT_SAY, p_value=None, deliveries=deliveries)
    page = parse_page(render_verdicts(make_document(make_answer("a.png", one)), {}))
    part = part_of(answers_of(page)[0], "As messengers and social networks deliver it")
    assert "quickstart: not known" in text_of(part)
    assert "0 of 0" not in text_of(part)


def test_answer_says_that_the_mean_of_the_patch_map_is_the_score(
    root: ElementTree.Element,
) -> None:
    part = part_of(answers_of(root)[0], "Pictures for a closer look")
    assert "the mean of this map is its score, 2.50" in text_of(part)
    assert "±3.5" in text_of(part)


def test_answer_names_checkpoint_version_and_threshold(root: ElementTree.Element) -> None:
    text = text_of(next(one for one in answers_of(root)[0].iter("details")))
    assert make_detector_answer()["checkpoint"] in text
    assert all(part in text for part in ("3.25", "0.9.0", "/folder/"))


def test_page_text_from_outside_is_escaped_and_runs_nothing(
    page: str, root: ElementTree.Element
) -> None:
    assert not set(page) & {"\x1b", "\u202e"}
    keys = {key for element in root.iter() for key in element.attrib}
    assert not {key for key in keys if key.startswith("on")} | keys & {"style", "action"}
    assert {one.tag for one in root.iter()}.isdisjoint({"script", "iframe", "form"})
    addresses = [one.get(key, "#") for one in root.iter() for key in ("src", "href")]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "default-src 'none'" in page


def test_every_picture_has_a_description(root: ElementTree.Element) -> None:
    assert len([one for one in root.iter("img") if one.get("alt")]) == 3
    for figure in root.iter("svg"):
        described = figure.get("role") == "img" and figure.get("aria-label")
        assert described or figure.get("aria-hidden") == "true"


def test_style_sheet_has_a_rule_for_each_class_of_the_answers(root: ElementTree.Element) -> None:
    (part,) = (one for one in root.iter("div") if one.get("class") == "answers")
    classes = {name for one in part.iter() for name in one.get("class", "").split()}
    assert {name for name in classes if f".{name}" not in stylesheet()} == set()
    assert "prefers-color-scheme: dark" in stylesheet()


def test_page_of_many_photos_shows_some_names_more_and_counts_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdict_page, "MAX_SHOWN", 2)
    monkeypatch.setattr(verdict_page, "MAX_LISTED", 3)
    answers = [make_answer(f"{number}.png", make_detector_answer()) for number in range(5)]
    page = render_verdicts(make_document(*answers), {})
    root = parse_page(page)
    assert [one.get("id") for one in answers_of(root)] == ["photo-1", "photo-2"]
    assert [text_of(one).split()[0] for one in root.iter("li")][:3] == ["0.png", "1.png", "2.png"]
    assert "And 2 more photos, which predictions.csv and predictions.json name." in page
    assert "3.png" not in page


def test_rendering_gives_equal_bytes(page: str) -> None:
    assert render_verdicts(make_several(), {f"/folder/{HOSTILE}": PICTURES}) == page


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1400])
def test_page_fits_the_browser(page: str, width: int, tmp_path: Path) -> None:
    check_in_browser(page, width, tmp_path)
