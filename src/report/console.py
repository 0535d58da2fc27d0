"""The results of one run as a table in the terminal."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from genspot.common.run_files import METRICS, REPORT, SCORES
from genspot.report.tables import CONSOLE_COLUMNS, result_table

PIPE_WIDTH = 140  # characters; a pipe or a log file has no width of its own


def make_console() -> Console:
    """Return the console for results: text is printed literally, without rich's markup."""
    literal = functools.partial(Console, markup=False, emoji=False)  # a file may be named [b].png
    console = literal()
    return console if console.is_terminal else literal(width=PIPE_WIDTH)


def print_results(metrics: Mapping[str, Any], folder: Path) -> None:
    """Print the table of results, its notes, and the paths of the files in `folder`."""
    heading, rows = result_table(metrics, CONSOLE_COLUMNS)
    table = Table(title=metrics["title"], title_justify="left")
    table.add_column(heading[0])
    for name in heading[1:]:
        table.add_column(name, justify="right", overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*row, end_section=number == len(rows) - 2)
    console = make_console()
    console.print(table)
    for note in notes(metrics):
        console.print(note, highlight=False)
    files = ("report", REPORT), ("scores", SCORES), ("metrics", METRICS)
    paths = {name: str(folder / file) for name, file in files}
    for name, path in (paths | {"checkpoint": metrics["checkpoint"]}).items():
        console.print(f"{name + ':':12}{path}", highlight=False, soft_wrap=True)


def notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know beside the figures, one line each."""
    crop, generators = metrics["crop"], metrics["generators"]
    area = f"the central {crop} × {crop} pixels of each image" if crop else "whole images"
    confidence = 100 * metrics["bootstrap"]["confidence"]
    found = [f"Tested on {area}; intervals are {confidence:g}% bootstrap intervals of the AP."]
    for key, meaning in (
        ("padded", "smaller than the crop and padded with zeros"),
        ("unreadable", "unreadable and skipped"),
    ):
        counts = {name: figures[key] for name, figures in generators.items() if figures[key]}
        if counts:
            listing = ", ".join(f"{name} {count}" for name, count in counts.items())
            found.append(f"Images {meaning}: {listing}.")
    if count := metrics.get("unreadable_in_training"):
        found.append(
            f"Unreadable images in training and validation, skipped: {count} (unreadable.csv)."
        )
    for name, figures in generators.items():
        present = figures["images"] + figures["unreadable"]
        if figures["expected"] and figures["expected"] != present:
            found.append(f"{name} is incomplete: {present} of {figures['expected']} images found.")
    if any(figures.get("shortcut_baseline_ap") is not None for figures in generators.values()):
        found.append(
            "Shortcut baseline: a random forest on file size, mean colour, sharpness and JPEG "
            "grid."
        )
    return found
