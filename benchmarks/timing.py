"""Timing of variants that take turns, so that a change of the machine's load meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table


def time_in_turns(
    variants: Mapping[str, Callable[[], object]],
    turns: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each variant in each turn, after one turn that is not counted.

    They are those of `clock`: time.process_time counts what other processes take as nothing.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(turns + 1):
        for name, call in variants.items():
            start = clock()
            call()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def print_ratios(
    title: str, seconds: Mapping[str, list[float]], images: int, unit: str, per_second: float
) -> None:
    """Print medians over the turns, and speeds relative to the first variant.

    Args:
        title: of the table.
        seconds: see `time_in_turns`.
        images: that one turn of a variant takes.
        unit: heading of the column of times.
        per_second: how many of this unit are a second of a turn.
    """
    first = next(iter(seconds.values()))
    rows = []
    for name, own in seconds.items():
        ratios = [base / value for base, value in zip(first, own, strict=True)]
        median = statistics.median(own)
        cells = f"{median * per_second:.0f}", f"{images / median:.0f}"
        interval = f"{min(ratios):.2f}–{max(ratios):.2f}"
        rows.append((name, *cells, f"{statistics.median(ratios):.2f}", interval))
    print_table(title, ("variant", unit, "images/s", "ratio", "lowest–highest"), rows)


def print_table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table; the first column is aligned to the left."""
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
