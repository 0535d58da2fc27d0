from __future__ import annotations

import pytest

from genspot.evaluation.evidence import CANNOT_SAY, GRADES, grade
from genspot.report import verdict_words as words
from helpers.answers import make_detector_answer


def test_every_grade_has_a_meaning_and_no_evidence_is_not_called_real() -> None:
    assert words.MEANINGS.keys() == {*GRADES, CANNOT_SAY}
    assert "does not show that it is real" in words.MEANINGS["no evidence"]


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1.0, "100.0%"),
        (0.0337, "3.4%"),
        (0.01, "1.0%"),
        (0.0034, "0.3%"),
        (0.00033, "0.03%"),
        (0.99996, "99.996%"),  # a posterior is never certain
        (0.9992, "99.92%"),
        (2 / 199, "1.01%"),  # moderate evidence, not strong
        (0.0096, "1.0%"),
        (0.05003, "5.003%"),
    ],
)
def test_rates_are_given_in_percent(rate: float, text: str) -> None:
    assert words.percent(rate) == text


def test_rate_in_percent_has_the_grade_of_the_p_value_whatever_the_references() -> None:
    for count in (99, 150, 199, 999, 2_999):
        for rank in range(1, count + 2):
            p_value = rank / (count + 1)
            shown = float(words.percent(p_value)[:-1]) / 100
            assert grade(shown) == grade(p_value)
            assert shown == pytest.approx(p_value, abs=0.0006) and 0 < shown <= 1
            assert (shown == 1) == (p_value == 1)


def test_settings_are_given_in_percent_as_they_were_given() -> None:
    found = [words.setting(share) for share in (0.01, 0.0125, 0.1, 0.00005, 0.999999)]
    assert found == ["1%", "1.25%", "10%", "0.005%", "99.9999%"]


def test_meanings_of_several_detectors_are_named_once_each() -> None:
    answers = [
        make_detector_answer("a", grade="strong evidence"),
        make_detector_answer("b", grade=None),
        make_detector_answer("c", grade="strong evidence"),
    ]
    found = words.meanings(answers)
    assert [grade for grade, _ in found] == ["strong evidence", "without a grade"]
    assert found[1][1] == words.UNGRADED


def test_comparison_says_with_what_or_why_not() -> None:
    assert words.comparison(make_detector_answer(p_value=10 / 297)) == (
        "9 of 296 real photos of its kind (no traces of JPEG) score as high or higher. With this "
        "photo counted among them, that is a false-alarm rate of 3.4%."
    )
    rarest = words.comparison(make_detector_answer(p_value=1 / 297))
    assert rarest.startswith("None of 296 real photos")
    unlike = {"grade": CANNOT_SAY, "p_value": None, "reason": "it is tiny"}
    assert words.comparison(make_detector_answer(**unlike)) == "Why: it is tiny."
    alone = words.comparison(make_detector_answer(grade=None, p_value=None))
    assert alone.startswith("Not known")


def test_numbers_leave_out_what_no_detector_has() -> None:
    first = make_detector_answer("a", fpr=0.01, decision="alarm", crop=None, padded=True)
    second = make_detector_answer("b", grade=CANNOT_SAY, p_value=None, reason="it is tiny")
    found = dict(words.numbers([first, second]))
    assert found[words.NUMBERS["fpr"]] == ["1%", ""]
    assert found[words.NUMBERS["p_value"]] == ["3.4%", ""]
    assert found[words.NUMBERS["crop"]] == ["", "224"]
    assert found[words.NUMBERS["padded"]] == ["yes", "no"]
    assert found[words.NUMBERS["probability"]] == ["0.9240 (uncalibrated)"] * 2
    assert words.NUMBERS["likelihood_ratio"] not in found


@pytest.mark.parametrize(
    ("path", "name"), [("/a/b.png", "b.png"), (r"C:\a\b.png", "b.png"), ("b.png", "b.png")]
)
def test_short_name_is_that_of_the_file(path: str, name: str) -> None:
    assert words.short_name(path) == name


@pytest.mark.parametrize(
    ("share", "text"),
    [
        ((1.0, 1.0), "the whole photo"),
        ((0.5, 0.5), "framed part of the photo, 25% of it"),
        ((0.05, 0.1), "less than 1%"),
    ],
)
def test_seen_says_how_much_of_the_photo_counts(share: tuple[float, float], text: str) -> None:
    assert text in words.seen(share)
