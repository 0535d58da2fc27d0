from __future__ import annotations

import numpy as np
import pytest

from genspot.evaluation.evidence import CANNOT_SAY, GRADES, grade
from genspot.report.verdict_scale import ZONES, curve, place_of_rate
from helpers.answers import make_deliveries, make_detector_answer


def test_zones_cover_the_scale_from_the_weakest_grade_to_the_strongest() -> None:
    assert [zone.grade for zone in ZONES] == [*GRADES][::-1]
    ends = [zone.left + zone.width for zone in ZONES]
    assert [0, *ends[:-1]] == pytest.approx([zone.left for zone in ZONES])
    assert ends[-1] == pytest.approx(100)


@pytest.mark.parametrize("rate", [1, 0.5, 0.1001, 0.1, 0.07, 0.05, 0.03, 0.01, 0.005, 1e-4, 1e-9])
def test_place_of_rate_is_in_the_zone_of_its_grade(rate: float) -> None:
    (zone,) = (zone for zone in ZONES if zone.grade == grade(rate))
    assert zone.left <= place_of_rate(rate) <= zone.left + zone.width + 1e-9


def test_place_of_rate_is_further_right_for_rarer_scores() -> None:
    places = [place_of_rate(rate) for rate in np.geomspace(1, 1e-4, 400)]
    assert places[0] == 0
    assert places[-1] == pytest.approx(100)
    assert (np.diff(places) > 0).all()


def test_curve_places_logits_in_order_and_joins_neighbours_without_a_gap() -> None:
    each = (
        ("a", 0.5, "no evidence"),
        ("b", 4.5, "moderate evidence"),
        ("c", None, "too large"),
        ("d", 2.5, "moderate evidence"),
    )
    deliveries = make_deliveries(*each)
    found = curve(make_detector_answer(logit=2.5, threshold=4.5, deliveries=deliveries))
    first, second, third, fourth = found.points
    assert (first.place, second.place, found.own) == pytest.approx((4, 96, 50))
    assert found.alarm == second.place
    assert fourth.place == found.own
    assert first.after == second.before == pytest.approx(50)
    assert (first.before, second.after, third.place, fourth.before, fourth.after) == (None,) * 5
    assert [one.changed for one in found.points] == [True, False, False, False]
    assert third.decision == "too large"


def test_curve_of_equal_logits_is_in_the_middle() -> None:
    deliveries = make_deliveries(("a", 2.5, "moderate evidence"))
    found = curve(make_detector_answer(threshold=None, deliveries=deliveries))
    assert found.alarm is None
    assert [found.own, found.points[0].place] == [50, 50]


def test_curve_without_grades_compares_verdicts() -> None:
    deliveries = make_deliveries(("a", 2.5, ""), ("b", -3.0, ""))
    for row, verdict in zip(deliveries["each"], ("looks generated", "undecided"), strict=True):
        row |= {"verdict": verdict, "grade": None}
    answer = make_detector_answer(grade=None, p_value=None, deliveries=deliveries)
    assert [one.changed for one in curve(answer).points] == [False, True]


def test_curve_counts_a_delivery_of_which_nothing_can_be_said_as_no_change() -> None:
    deliveries = make_deliveries(("a", 2.5, CANNOT_SAY), ("b", 1.0, "no evidence"))
    found = curve(make_detector_answer(deliveries=deliveries))
    assert [(one.changed, one.open) for one in found.points] == [(False, True), (True, False)]


def test_curve_of_a_photo_of_which_nothing_can_be_said_has_no_change() -> None:
    deliveries = make_deliveries(("a", 2.5, "no evidence"), ("b", 1.0, CANNOT_SAY))
    found = curve(make_detector_answer(grade=CANNOT_SAY, p_value=None, deliveries=deliveries))
    assert [(one.changed, one.open) for one in found.points] == [(False, False), (False, True)]
