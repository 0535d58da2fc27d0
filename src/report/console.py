"""The results of one run in the terminal."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from genspot.evaluation.measures import lines

COLUMNS = ("AP", "95% interval", "accuracy", "on reals", "on fakes", "AUROC", "images")
NOTES = {"padded": "smaller than the crop, zero-padded", "unreadable": "unreadable, skipped"}


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal."""
    return "–" if value is None else f"{100 * value:.1f}"


def ends(one: dict[str, Any]) -> str:
    """The interval of the AP."""
    interval = one.get("ap_interval")
    return "–" if interval is None else " – ".join(percent(end) for end in interval)


def with_interval(one: dict[str, Any]) -> str:
    """The AP, and its interval where it has one."""
    text = percent(one.get("ap"))
    return f"{text} [{ends(one)}]" if one.get("ap_interval") else text


def named(name: str, one: dict[str, Any]) -> str:
    """A generator's name, with what keeps it from having figures."""
    status = one.get("status", "ok")
    return name if status == "ok" else f"{name} ({status})"


def row(result: dict[str, Any]) -> list[str]:
    """The cells of `COLUMNS` for one generator or the mean."""
    return [
        percent(result["ap"]),
        ends(result),
        *(percent(result[key]) for key in ("acc", "acc_real", "acc_fake", "auroc")),
        str(result["images"]),
    ]


def published_cell(result: dict[str, Any]) -> str:
    """The published AP (and accuracy) of a generator, marked where it is unconfirmed."""
    figure = result.get("published")
    if not figure:
        return "–"
    accuracy = f" ({percent(figure['acc'])})" if figure.get("acc") is not None else ""
    return percent(figure["ap"]) + accuracy + (" unconfirmed" if figure["unconfirmed"] else "")


def rows(metrics: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heading and lines of the table, the mean last; no column that would stay empty."""
    generators = metrics["generators"]
    trivial = any(one.get("trivial_ap") is not None for one in generators.values())
    published = any(one.get("published") for one in generators.values())
    heading = ["generator", *COLUMNS]
    heading += ["trivial AP"] * trivial + ["published AP (accuracy)"] * published
    body = []
    for name, one in lines(metrics):
        line = [named(name, one), *row(one)]
        line += [percent(one.get("trivial_ap"))] * trivial + [published_cell(one)] * published
        body.append(line)
    return heading, body


def remarks(metrics: dict[str, Any]) -> list[str]:
    """What a reader must know beside the figures, one line each."""
    crop = metrics["crop"]
    seen = f"the middle {crop} × {crop} pixels of each image" if crop else "whole images"
    lines = [f"Tested on {seen}."]
    for key, meaning in NOTES.items():
        counts = {name: one[key] for name, one in metrics["generators"].items() if one[key]}
        if counts:
            listing = ", ".join(f"{name} {count}" for name, count in counts.items())
            lines.append(f"Images {meaning}: {listing}.")
    if count := metrics.get("unreadable_in_training"):
        lines.append(f"Unreadable in training and validation, skipped: {count} (unreadable.csv).")
    for name, one in metrics["generators"].items():
        if one["expected"] and one["expected"] != one["images"] + one["unreadable"]:
            here = one["images"] + one["unreadable"]
            lines.append(f"{name} is incomplete: {here} of {one['expected']} images are here.")
    if any(one.get("trivial_ap") is not None for one in metrics["generators"].values()):
        lines.append(
            "Trivial AP: a random forest on file size, mean colour, sharpness and JPEG grid."
        )
    return lines


def terminal() -> Console:
    """Where results are printed; a pipe or a log, which has no width of its own, gets room."""
    plain = functools.partial(Console, markup=False, emoji=False)  # a file may be named [b].png
    console = plain()
    return console if console.is_terminal else plain(width=140)


def show(metrics: dict[str, Any], folder: Path) -> None:
    """Print the table, its remarks, and where everything lies."""
    heading, lines = rows(metrics)
    table = Table(title=metrics["title"], title_justify="left")
    table.add_column(heading[0])
    for name in heading[1:]:
        table.add_column(name, justify="right", overflow="fold")
    for number, line in enumerate(lines):
        table.add_row(*line, end_section=number == len(lines) - 2)
    console = terminal()
    console.print(table)
    for remark in remarks(metrics):
        console.print(remark, highlight=False)
    places = {
        "report": folder / "report.html",
        "scores": folder / "scores.parquet",
        "metrics": folder / "metrics.json",
        "checkpoint": metrics["checkpoint"],
    }
    for name, place in places.items():
        console.print(f"{name + ':':12}{place}", highlight=False, soft_wrap=True)
