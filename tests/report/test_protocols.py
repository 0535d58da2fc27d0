"""Protocols in words."""

from __future__ import annotations

import pytest

from genspot.report.protocols import choice, is_changed, notes


@pytest.mark.parametrize(
    ("tested", "trained", "expected", "count"),
    [
        ({}, {}, "no protocol", 0),  # results of older versions
        ({"protocol": "none"}, {}, "no protocol", 0),
        ({"protocol": "fit_9"}, {"protocol": "fit_9"}, "protocol fit_9", 1),
        ({"protocol": "fit_9"}, {}, "protocol fit_9, trained with none", 2),
        ({"protocol": "none"}, {"protocol": "fit_9"}, "no protocol, trained with fit_9", 1),
    ],
)
def test_protocols_of_test_and_training_are_told_apart(tested, trained, expected, count) -> None:
    metrics = {**tested, "trained_on": trained}
    assert choice(metrics) == expected
    assert is_changed(metrics) == ("fit_9" in tested.values())
    assert len(notes(metrics)) == count
    for note in notes(metrics):
        assert "fit_9" in note
