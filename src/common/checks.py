"""Checks of settings."""

from __future__ import annotations

import sys

from genspot.common.errors import GenspotError


def check_integer(setting: str, value: object, minimum: int, maximum: int = 2**31) -> None:
    """Raise GenspotError, naming `setting`, unless `value` is an integer within the limits."""
    if type(value) is not int or not minimum <= value <= maximum:
        limit = "" if maximum == 2**31 else f", at most {maximum}"
        raise GenspotError(f"{setting}={value}: give a whole number from {minimum} on{limit}")


def is_number(value: object) -> bool:
    """Return whether `value` is an integer or a finite float, and no boolean."""
    limit = sys.float_info.max  # NaN is not below it either
    return isinstance(value, int | float) and type(value) is not bool and abs(value) <= limit
