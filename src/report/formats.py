"""Figures as text. A figure that is absent (None) is shown as a dash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]  # the results of one generator or of "mean", as in metrics.json

ABSENT = "–"


def format_percent(value: float | None) -> str:
    """Return a fraction as a percentage with one decimal."""
    return ABSENT if value is None else f"{100 * value:.1f}"


def format_signed(value: float | None) -> str:
    """Return a difference of fractions in percentage points, with its sign."""
    return ABSENT if value is None else f"{100 * value:+.1f}".replace("-", "−")


def format_interval(figures: Figures) -> str:
    """Return the interval of the AP in percent."""
    interval = figures.get("ap_interval")
    return " – ".join(map(format_percent, interval)) if interval else ABSENT


def format_ap(figures: Figures) -> str:
    """Return the AP in percent, followed by its interval in brackets if it has one."""
    text = format_percent(figures.get("ap"))
    return f"{text} [{format_interval(figures)}]" if figures.get("ap_interval") else text


def display_name(generator: str, figures: Figures) -> str:
    """Return the name of a generator, followed by its status if it has no complete figures."""
    status = figures.get("status", "ok")
    return generator if status == "ok" else f"{generator} ({status})"
