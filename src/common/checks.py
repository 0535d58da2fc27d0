"""Checks of settings."""

from __future__ import annotations

from genspot.common.errors import GenspotError


def check_integer(setting: str, value: object, minimum: int, maximum: int = 2**31) -> None:
    """Raise GenspotError, naming `setting`, unless `value` is an integer within the limits."""
    if type(value) is not int or not minimum <= value <= maximum:
        limit = "" if maximum == 2**31 else f", at most {maximum}"
        raise GenspotError(f"{setting}={value}: give a whole number from {minimum} on{limit}")
