"""The figures as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from genspot.report.columns import DECIDING, MEASURES, RANKING, lines, shown
from genspot.report.console import ends, named, percent, with_interval
from genspot.report.runs import CHOICES, Run, generators, labels, result
from genspot.report.seeds import CAPTION, OverSeeds

Results = dict[str, dict[str, Any]]  # by generator and "mean"
COUNTS = ("images", "real", "fake", "padded", "unreadable")
FORMULA = tuple("=+-@\t\r")  # what a cell that spreadsheets calculate begins with
WIDE = 5  # runs beside one another in a LaTeX table
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "−": "$-$",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}


def comma_separated(runs: Sequence[Run], seeds: Sequence[OverSeeds]) -> str:
    """One row a run and generator (and the mean) with every measure, fractions in full.

    Below them those over seeds, which have no folder, no checkpoint and the AP alone. Text that a
    spreadsheet would run as a formula has an apostrophe before it.
    """
    text = io.StringIO()
    heading = ["run", "folder", *CHOICES, "checkpoint", "generator", "status", *MEASURES]
    heading += ["ap_low", "ap_high", "published_ap", "published_acc", "published_unconfirmed"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*heading, *COUNTS])
    for run, label in zip(runs, labels(runs), strict=True):
        about = [label, run.folder.name, *run.choices.values(), run.metrics["checkpoint"]]
        writer.writerows(_inert([*about, *_row(name, one)]) for name, one in lines(run))
    for group in seeds:
        choices = group.runs[0].choices | {"seed": group.seeds}
        about = [group.label, "", *choices.values(), ""]
        names = [name for name in [*generators(runs), "mean"] if name in group.results]
        writer.writerows(_inert([*about, *_row(name, group.results[name])]) for name in names)
    return text.getvalue()


def _inert(cells: list[Any]) -> list[Any]:
    """`cells`, of which no text is a formula; numbers stay as they are."""
    return [f"'{one}" if isinstance(one, str) and one[:1] in FORMULA else one for one in cells]


def _row(name: str, one: dict[str, Any]) -> list[Any]:
    """The cells of one generator's figures, from its name on."""
    interval, figure = one.get("ap_interval") or (None, None), one.get("published") or {}
    row = [name, one.get("status", "ok"), *(one.get(key) for key in MEASURES), *interval]
    row += [figure.get(key) for key in ("ap", "acc", "unconfirmed")]
    return [*row, *(one.get(key) for key in COUNTS)]


def markdown(runs: Sequence[Run], seeds: Sequence[OverSeeds], title: str) -> str:
    """GitHub tables, in percent: AP of all runs and over seeds, then each run's figures."""
    parts = [f"# {_md(title)}"]
    if len(runs) > 1:
        parts += ["AP and its interval, in percent.", _md_table(*matrix(runs))]
    if seeds:
        names = [*generators(runs), "mean"]
        heading = ["generator", *(one.label for one in seeds)]
        body = [
            [name, *(with_interval(one.results.get(name, {})) for one in seeds)] for name in names
        ]
        parts += ["## Over seeds", CAPTION, _md_table(heading, body)]
    for run, label in zip(runs, labels(runs), strict=True):
        columns = [*shown(run, RANKING), *shown(run, DECIDING)]
        heading = ["generator", *(column.heading for column in columns)]
        body = [[named(name, one), *(c.cell(one) for c in columns)] for name, one in lines(run)]
        parts += [f"## {_md(label)}", "In percent.", _md_table(heading, body)]
    return "\n\n".join(parts) + "\n"


def matrix(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Heading and lines of AP with interval: generators and the mean against runs."""
    names = [*generators(runs), "mean"]
    cells = [[name, *(with_interval(result(run, name)) for run in runs)] for name in names]
    return ["generator", *labels(runs)], cells


def _md(text: str) -> str:
    """`text` with what Markdown or HTML would read escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", " ".join(text.split()))


def _md_table(heading: list[str], body: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(heading) - 1)]
    rows = [[_md(cell) for cell in heading], rule, *([_md(cell) for cell in row] for row in body)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def latex(runs: Sequence[Run], seeds: Sequence[OverSeeds]) -> str:
    """A booktabs table of AP in percent with intervals, a row a generator, the mean last.

    With several runs a column is a run and the best of each row is bold; more than `WIDE` runs
    go into several tables. What is over seeds goes into tables of its own.
    """
    if len(runs) == 1:
        return _tabular(*_single(runs[0]))
    names = [*generators(runs), "mean"]
    columns = [
        (label, {name: result(run, name) for name in names})
        for run, label in zip(runs, labels(runs), strict=True)
    ]
    tables = _beside(columns, names)
    tables += _beside([(one.label, one.results) for one in seeds], names)
    return "\n".join(tables)


def _beside(columns: Sequence[tuple[str, Results]], names: Sequence[str]) -> list[str]:
    """Tables of titled columns beside one another, at most `WIDE` in each.

    The best of each row is bold, where there is more than one column.
    """
    rows = {name: [results.get(name, {}) for _, results in columns] for name in names}
    best = {name: max(map(_shown, row)) if len(row) > 1 else None for name, row in rows.items()}
    return [
        _tabular(
            ["generator", *(_tex(title) for title, _ in columns[start : start + WIDE])],
            [
                [_tex(name), *(_bold(one, best[name]) for one in row[start : start + WIDE])]
                for name, row in rows.items()
            ],
        )
        for start in range(0, len(columns), WIDE)
    ]


def _shown(one: dict[str, Any]) -> float:
    """AP in percent as it is shown, so that what reads as equal is equally bold."""
    value = one.get("ap")
    return -1.0 if value is None else round(100 * value, 1)


def _bold(one: dict[str, Any], best: float | None) -> str:
    text = _tex(percent(one.get("ap")))
    if one.get("ap") is not None and _shown(one) == best:
        text = rf"\textbf{{{text}}}"
    return f"{text} {_small(one)}".rstrip()


def _small(one: dict[str, Any]) -> str:
    return rf"{{\scriptsize [{_tex(ends(one))}]}}" if one.get("ap_interval") else ""


def _single(run: Run) -> tuple[list[str], list[list[str]]]:
    """Heading and lines for one run: the ranking's figures and the accuracy."""
    wanted = ("ap", "ap_interval", "published", "difference", "auroc", "acc", "images")
    columns = [c for c in (*shown(run, RANKING), *shown(run, DECIDING)) if c.key in wanted]
    body = [
        [_tex(named(name, one)), *(_tex(column.cell(one)) for column in columns)]
        for name, one in lines(run)
    ]
    return ["generator", *(_tex(column.heading) for column in columns)], body


def _tex(text: str) -> str:
    return "".join(TEX.get(sign, sign) for sign in " ".join(text.split()))


def _tabular(heading: list[str], body: list[list[str]]) -> str:
    rows = [" & ".join(row) + r" \\" for row in body]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(heading) - 1)}}}",
            r"\toprule",
            " & ".join(heading) + r" \\",
            r"\midrule",
            *rows[:-1],
            r"\midrule",
            rows[-1],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )
