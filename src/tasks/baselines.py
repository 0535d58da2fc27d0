"""Published figures: the files of conf/baseline/, which are all read, and the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genspot.common.errors import GenspotError
from genspot.common.geometry import MAX_SIDE
from genspot.common.names import shown
from genspot.evaluation.published import Baseline
from genspot.tasks.config_files import all_files, check_section, choices, read_file
from genspot.tasks.kinds import (
    COMPONENT,
    FLAG,
    LINK,
    PERCENT,
    SECTION,
    TEXT,
    Kind,
    either,
    one_of,
    optional,
    whole,
)

SIDE = whole(1, MAX_SIDE)
PERCENTAGES = Kind(
    "{GENERATOR: a number from 0 to 100, …}, with names of files of conf/generator/",
    lambda value: isinstance(value, dict) and all(map(PERCENT.accepts, value.values())),
)
ROWS = Kind(
    "a list of rows, each {row: …, model: …, …}",
    lambda value: isinstance(value, list) and bool(value) and all(map(SECTION.accepts, value)),
)
FILE: dict[str, Kind] = {"title": TEXT, "link": LINK, "rows": ROWS}
ROW: dict[str, Kind] = {
    "row": TEXT,
    "source": TEXT,
    "model": COMPONENT,
    "data": COMPONENT,
    "aug": optional(COMPONENT),
    "crop": either(SIDE, one_of("none")),
    "resize": optional(
        either(
            SIDE,
            Kind(
                "[height,width]",
                lambda value: (
                    isinstance(value, list) and len(value) == 2 and all(map(SIDE.accepts, value))
                ),
            ),
        )
    ),
    "rerun": FLAG,
    "ap": PERCENTAGES,
    "acc": PERCENTAGES,
    "unconfirmed": either(
        FLAG,
        Kind(
            "a list of generators",
            lambda value: isinstance(value, list) and all(map(TEXT.accepts, value)),
        ),
    ),
}
DEFAULTS: dict[str, Any] = {"resize": None, "rerun": False, "ap": {}, "acc": {}}
DEFAULTS |= {"unconfirmed": False}


def read_baselines() -> list[Baseline]:
    """Return the rows of all files baseline/NAME.yaml, in the order of their names.

    They lie in conf/ and in the folders of the user's own (`--config-dir`, `hydra.searchpath`).

    Raises:
        GenspotError: a file cannot be read, has another key or a value of another kind, or names a
            generator that has no file; or two files have one name.
    """
    files = all_files("baseline", "the publication")
    generators = choices("generator")
    return [row for name, file in files.items() for row in _rows(name, file, generators)]


def _rows(name: str, file: Path, generators: set[str]) -> Iterator[Baseline]:
    """Yield the rows of one file."""
    values = read_file(file)
    check_section(str(file), values, FILE, required=FILE)
    rows = set()
    for number, given in enumerate(values["rows"]):
        where = f"{file}: rows[{number}]"
        required = [key for key in ROW if key not in DEFAULTS]
        check_section(where, given, ROW, required, separator=".")
        row = DEFAULTS | given
        if row["row"] in rows:
            raise GenspotError(f"{where}.row={shown(row['row'])}: another row has this name")
        rows.add(row["row"])
        about = {"name": name, "title": values["title"], "link": values["link"]}
        yield _baseline(about, row, where, generators)


def _baseline(
    about: Mapping[str, Any], row: Mapping[str, Any], where: str, generators: set[str]
) -> Baseline:
    """Return a checked row; the generators that it names must be among `generators`."""
    with_figures = {*row["ap"], *row["acc"]}
    if not with_figures:
        raise GenspotError(f"{where} has no figures: give ap or acc, {PERCENTAGES.words}")
    unconfirmed = row["unconfirmed"]
    if isinstance(unconfirmed, list):
        for one in unconfirmed:
            if one not in with_figures:
                raise GenspotError(f"{where}.unconfirmed: {shown(one)} has no figures in this row")
    for key in ("ap", "acc"):
        for one in row[key]:
            if one not in generators:
                raise GenspotError(
                    f"{where}.{key}: there is no generator/{shown(one)}.yaml; give the name of "
                    "such a file, or leave the figure out"
                )
    resize = row["resize"]
    return Baseline(
        **about,
        **{key: row[key] for key in ("row", "source", "rerun", "model", "data", "aug")},
        resize=tuple(resize) if isinstance(resize, list) else resize,
        crop=None if row["crop"] == "none" else row["crop"],
        ap=row["ap"],
        acc=row["acc"],
        unconfirmed=frozenset(
            unconfirmed if isinstance(unconfirmed, list) else with_figures if unconfirmed else ()
        ),
    )
