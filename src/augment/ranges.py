"""Settings that are a number or a range of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from genspot.common.errors import GenspotError


def as_range(
    value: float | Sequence[float], name: str, low: float, high: float
) -> tuple[float, float]:
    """Return `value` as (lowest, highest); both are equal for a single number.

    Args:
        value: a number, or a pair in ascending order.
        name: of the setting, for the message.
        low, high: limits of the numbers, both included.

    Raises:
        GenspotError: `value` is neither, or is outside the limits.
    """
    try:
        ends = [value] if isinstance(value, int | float) else list(value)
        valid = len(ends) in (1, 2) and low <= ends[0] <= ends[-1] <= high
    except TypeError:
        valid = False
    if not valid:
        raise GenspotError(
            f"{name}={value} is neither a number nor a [lowest, highest] pair within "
            f"[{low:g}, {high:g}]"
        )
    return float(ends[0]), float(ends[-1])
