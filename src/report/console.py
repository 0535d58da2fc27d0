"""The results of one run in the terminal, or as plain lines where there is none."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from genspot.common.run_files import METRICS, REPORT, SCORES
from genspot.common.text import printable
from genspot.evaluation.results import FAKES_ONLY, REALS_ONLY
from genspot.report import protocols
from genspot.report.calibration import calibration_notes
from genspot.report.published import published_notes
from genspot.report.tables import (
    CONSOLE_COLUMNS,
    few_images_note,
    interval_units,
    result_table,
    shown_rows,
)


def is_terminal() -> bool:
    """Return whether standard output is a terminal, and not a pipe or a file."""
    return sys.stdout.isatty()


def make_console() -> Console:
    """Return the console of a terminal: text is printed literally, without rich's markup."""
    return Console(markup=False, emoji=False)  # a file may be named [b].png


def print_line(text: str) -> None:
    """Print `text`, wrapped to the width of a terminal."""
    if is_terminal():
        make_console().print(printable(text), highlight=False)
    else:
        print(printable(text))


def print_path(name: str, path: str | Path) -> None:
    """Print where something is, on one line also where the terminal is narrower."""
    print(printable(f"{name + ':':12} {path}"))


def print_table(
    heading: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", means: int = 0
) -> None:
    """Print a table: with rules in a terminal, else a line a row, with tabs between the cells.

    Args:
        heading: of the columns; the first is left-aligned.
        rows: as many cells each.
        title: of the table.
        means: number of the last rows, which a rule separates from the others.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if not is_terminal():
        for line in [[printable(title)]] * bool(title) + [heading, *cells]:
            print("\t".join(line))
        return
    table = Table(title=printable(title) if title else None, title_justify="left")
    for number, name in enumerate(heading):
        justify: Any = "right" if number else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for number, row in enumerate(cells):
        table.add_row(*row, end_section=means > 0 and number == len(cells) - means - 1)
    make_console().print(table)


def print_results(metrics: Mapping[str, Any], folder: Path, quiet: bool = False) -> None:
    """Print the table of results and its notes unless `quiet`, and the files in `folder`."""
    if not quiet:
        heading, rows = result_table(metrics, CONSOLE_COLUMNS)
        means = len(shown_rows(metrics)) - len(metrics["generators"])
        print_table(heading, rows, metrics["title"], means)
        for note in notes(metrics):
            print_line(note)
    for name, file in (("report", REPORT), ("scores", SCORES), ("metrics", METRICS)):
        print_path(name, folder / file)
    print_path("checkpoint", metrics["checkpoint"])


def notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know beside the figures, one line each."""
    crop, generators = metrics["crop"], metrics["generators"]
    area = f"the central {crop} × {crop} pixels of each image" if crop else "whole images"
    confidence = 100 * metrics["confidence"]
    found = [
        f"Tested on {area}; intervals are {confidence:g}% confidence intervals, over "
        f"{interval_units(metrics)}."
    ]
    if {REALS_ONLY, FAKES_ONLY} & {figures["status"] for figures in generators.values()}:
        found.append(
            "A set of one class has no AP and no part in the mean. Of it, the share of images "
            "called fake (probability above 0.5) is given: false alarms among real images, and "
            "fakes that are found."
        )
    found += few_images_note(metrics)
    found += protocols.notes(metrics)
    found += published_notes(metrics)
    found += (metrics.get("fit") or {}).get("notes", [])
    found += calibration_notes(metrics)
    found += metrics.get("notes", [])
    if metrics.get("means"):
        apart = sum(mean["generators"] for mean in metrics["means"].values())
        if apart < (total := metrics["mean"]["generators"]):
            found.append(
                f"The means of seen and unseen generators are over {apart} of {total}: of the "
                "others it is not known whether the detector was trained on them."
            )
    for key, meaning in (
        ("padded", "smaller than the crop and padded with zeros"),
        ("unreadable", "unreadable or left out (unreadable.csv)"),
    ):
        counts = {name: figures[key] for name, figures in generators.items() if figures[key]}
        if counts:
            listing = ", ".join(f"{name} {count}" for name, count in counts.items())
            found.append(f"Images {meaning}: {listing}.")
    if count := metrics.get("unreadable_in_training"):
        where = "training and validation" if metrics.get("training_images") else "validation"
        found.append(f"Unreadable or left out in {where}: {count} (unreadable.csv).")
    for name, figures in generators.items():
        # A text beside the images is left out, and no image of a complete copy.
        present = figures["images"] + figures["unreadable"] - figures.get("left_out", 0)
        if figures["expected"] and figures["expected"] != present:
            found.append(f"{name} is incomplete: {present} of {figures['expected']} images found.")
    if any(figures.get("shortcut_baseline_ap") is not None for figures in generators.values()):
        found.append(
            "Shortcut baseline: a random forest on file size, mean colour, sharpness and JPEG "
            "grid."
        )
    return found
