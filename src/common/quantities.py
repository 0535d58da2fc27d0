"""Sizes and durations, as messages show them."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Return a number of bytes in a unit of 1000s, such as "3.75 GB" or "512 bytes"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            value = count / scale
            return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{count:.0f} bytes"


def duration_text(seconds: float) -> str:
    """Return a duration, such as "1 h 5 min", "12 min" or "40 s"."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
