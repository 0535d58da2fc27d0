"""Words and tables that several sections use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Table(NamedTuple):
    """A table; the first cell of each row names it."""

    caption: str
    heading: list[str]
    rows: list[list[str]]


def listing(words: Iterable[str]) -> str:
    """Return "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
