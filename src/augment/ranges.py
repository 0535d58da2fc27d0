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
        if isinstance(value, str):  # would be read digit by digit
            raise TypeError
        ends = [float(value)] if isinstance(value, int | float) else [float(end) for end in value]
    except (TypeError, ValueError):
        ends = []
    if len(ends) not in (1, 2) or not low <= ends[0] <= ends[-1] <= high:
        raise GenspotError(
            f"{name}={value} is neither a number nor a [lowest, highest] pair within "
            f"[{low:g}, {high:g}]"
        )
    return ends[0], ends[-1]
