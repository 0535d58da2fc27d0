"""Sizes and durations in messages."""

from __future__ import annotations

import pytest

from genspot.common.quantities import duration_text, size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (3_754_321_000, "3.75 GB"),
        (46_830_571, "46.8 MB"),
        (999_700_000, "1,000 MB"),
        (96_641_839_586, "96.6 GB"),
        (1_234_567_890_123, "1,235 GB"),
    ],
)
def test_size_text_has_three_digits_and_a_unit(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (12.4, "12 s"), (60, "1 min"), (3599, "1 h 0 min"), (7980, "2 h 13 min")],
)
def test_duration_text_has_one_or_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
