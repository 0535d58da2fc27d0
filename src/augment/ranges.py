"""A setting that is one number or the range it is drawn from."""

from __future__ import annotations

from collections.abc import Sequence


def as_range(
    value: float | Sequence[float], name: str, low: float, high: float
) -> tuple[float, float]:
    """`value` as (lowest, highest); a single number is a range of one.

    Raises:
        ValueError: it is no number or pair in order, or it leaves [low, high].
    """
    try:
        if isinstance(value, str):  # its digits would pass for numbers
            raise TypeError
        ends = [float(value)] if isinstance(value, (int, float)) else [float(end) for end in value]
        first, last = ends[0], ends[-1]
    except (TypeError, ValueError, IndexError):
        ends, first, last = [], 0.0, 0.0
    if len(ends) not in (1, 2) or not low <= first <= last <= high:
        raise ValueError(
            f"{name}={value} is neither a number nor a [lowest, highest] pair within "
            f"[{low:g}, {high:g}]"
        )
    return first, last
