"""The figures as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from detector.report.columns import DECIDING, MEASURES, RANKING, lines, shown
from detector.report.console import ends, named, percent
from detector.report.runs import CHOICES, Run, generators, labels, result

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


def comma_separated(runs: Sequence[Run]) -> str:
    """One row a run and generator (and the mean) with every measure, fractions in full."""
    text = io.StringIO()
    heading = ["run", "folder", *CHOICES, "checkpoint", "generator", "status", *MEASURES]
    heading += ["ap_low", "ap_high", "published_ap", "published_acc", "published_unconfirmed"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*heading, "images", "real", "fake", "padded", "unreadable"])
    for run, label in zip(runs, labels(runs), strict=True):
        about = [label, run.folder.name, *run.choices.values(), run.metrics["checkpoint"]]
        for name, one in lines(run):
            interval, figure = one.get("ap_interval") or (None, None), one.get("published") or {}
            row = [*about, name, one.get("status", "ok"), *(one.get(key) for key in MEASURES)]
            row += [*interval, *(figure.get(key) for key in ("ap", "acc", "unconfirmed"))]
            counts = ("images", "real", "fake", "padded", "unreadable")
            writer.writerow([*row, *(one.get(key) for key in counts)])
    return text.getvalue()


def markdown(runs: Sequence[Run], title: str) -> str:
    """GitHub tables: AP of all runs beside one another, then each run's figures, in percent."""
    parts = [f"# {_md(title)}"]
    if len(runs) > 1:
        parts += ["AP and its interval, in percent.", _md_table(*matrix(runs))]
    for run, label in zip(runs, labels(runs), strict=True):
        columns = [*shown(run, RANKING), *shown(run, DECIDING)]
        heading = ["generator", *(column.heading for column in columns)]
        body = [[named(name, one), *(c.cell(one) for c in columns)] for name, one in lines(run)]
        parts += [f"## {_md(label)}", "In percent.", _md_table(heading, body)]
    return "\n\n".join(parts) + "\n"


def matrix(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Heading and lines of AP with interval: generators and the mean against runs."""
    names = [*generators(runs), "mean"]
    cells = [[name, *(_with_interval(result(run, name)) for run in runs)] for name in names]
    return ["generator", *labels(runs)], cells


def _with_interval(one: dict[str, Any]) -> str:
    text = percent(one.get("ap"))
    return f"{text} [{ends(one)}]" if one.get("ap_interval") else text


def _md(text: str) -> str:
    """`text` with what Markdown or HTML would read escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", " ".join(text.split()))


def _md_table(heading: list[str], body: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(heading) - 1)]
    rows = [[_md(cell) for cell in heading], rule, *([_md(cell) for cell in row] for row in body)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def latex(runs: Sequence[Run]) -> str:
    """A booktabs table of AP in percent with intervals, a row a generator, the mean last.

    With several runs a column is a run and the best of each row is bold; more than `WIDE` runs
    go into several tables.
    """
    if len(runs) == 1:
        return _tabular(*_single(runs[0]))
    names = [*generators(runs), "mean"]
    best = {name: max(_shown(run, name) for run in runs) for name in names}
    titles = labels(runs)
    return "\n".join(
        _tabular(
            ["generator", *map(_tex, titles[start : start + WIDE])],
            [
                [_tex(name), *(_bold(run, name, best[name]) for run in runs[start : start + WIDE])]
                for name in names
            ],
        )
        for start in range(0, len(runs), WIDE)
    )


def _shown(run: Run, name: str) -> float:
    """AP in percent as it is shown, so that what reads as equal is equally bold."""
    value = result(run, name).get("ap")
    return -1.0 if value is None else round(100 * value, 1)


def _bold(run: Run, name: str, best: float) -> str:
    one = result(run, name)
    text = _tex(percent(one.get("ap")))
    if one.get("ap") is not None and _shown(run, name) == best:
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
