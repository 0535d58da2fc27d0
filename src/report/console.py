"""The results of one run as a table in the terminal."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from genspot.evaluation.results import result_rows
from genspot.report.columns import CONSOLE_COLUMNS, visible_columns
from genspot.report.formats import display_name

PIPE_WIDTH = 140  # characters; a pipe or a log file has no width of its own
IMAGE_NOTES = {
    "padded": "smaller than the crop and padded with zeros",
    "unreadable": "unreadable and skipped",
}


def make_console() -> Console:
    """Return the console for results: text is printed literally, without rich's markup."""
    literal = functools.partial(Console, markup=False, emoji=False)  # a file may be named [b].png
    console = literal()
    return console if console.is_terminal else literal(width=PIPE_WIDTH)


def print_results(metrics: Mapping[str, Any], folder: Path) -> None:
    """Print the table of results, its notes, and the paths of the files in `folder`."""
    heading, rows = result_table(metrics)
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
    paths = {
        "report": folder / "report.html",
        "scores": folder / "scores.parquet",
        "metrics": folder / "metrics.json",
        "checkpoint": metrics["checkpoint"],
    }
    for name, path in paths.items():
        console.print(f"{name + ':':12}{path}", highlight=False, soft_wrap=True)


def result_table(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows: one row per generator, the mean last, no empty column."""
    results = result_rows(metrics)
    columns = visible_columns(CONSOLE_COLUMNS, (figures for _, figures in results))
    rows = [
        [display_name(name, figures), *(column.cell(figures) for column in columns)]
        for name, figures in results
    ]
    return ["generator", *(column.heading for column in columns)], rows


def notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know beside the figures, one line each."""
    crop, generators = metrics["crop"], metrics["generators"]
    area = f"the central {crop} × {crop} pixels of each image" if crop else "whole images"
    confidence = 100 * metrics["bootstrap"]["confidence"]
    found = [f"Tested on {area}; intervals are {confidence:g}% bootstrap intervals of the AP."]
    for key, meaning in IMAGE_NOTES.items():
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
