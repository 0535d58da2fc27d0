"""The figures as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from genspot.evaluation.results import result_rows
from genspot.report.columns import (
    EXPORTED_MEASURES,
    RANKING_COLUMNS,
    THRESHOLD_COLUMNS,
    Column,
    visible_columns,
)
from genspot.report.formats import (
    Figures,
    display_name,
    format_ap,
    format_interval,
    format_percent,
)
from genspot.report.runs import CHOICES, Run, figures_of, generator_names, run_labels
from genspot.report.seeds import CAPTION, SeedGroup

COUNTS = ("images", "real", "fake", "padded", "unreadable")
FORMULA_STARTS = tuple("=+-@\t\r")  # a spreadsheet calculates a cell that begins with one
MAX_LATEX_COLUMNS = 5  # runs side by side in one LaTeX table
SHORT_LATEX_KEYS = ("ap", "ap_interval", "published", "difference", "auroc", "acc", "images")
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "−": "$-$",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}


def render_csv(runs: Sequence[Run], seed_groups: Sequence[SeedGroup]) -> str:
    """Return one row per run and generator (and mean), with every measure as an exact fraction.

    Rows over seeds follow; they have no folder, no checkpoint, and no measure but the AP. Text
    that a spreadsheet would calculate as a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    heading = ["run", "folder", *CHOICES, "checkpoint", "generator", "status"]
    heading += [*EXPORTED_MEASURES, "ap_low", "ap_high"]
    heading += ["published_ap", "published_acc", "published_unconfirmed", *COUNTS]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    for run, label in zip(runs, run_labels(runs), strict=True):
        about = [label, run.folder.name, *run.choices.values(), run.metrics["checkpoint"]]
        for name, figures in result_rows(run.metrics):
            writer.writerow(_without_formulas([*about, *_csv_cells(name, figures)]))
    for group in seed_groups:
        choices = group.runs[0].choices | {"seed": group.seeds}
        about = [group.label, "", *choices.values(), ""]
        for name in [*generator_names(runs), "mean"]:
            if name in group.results:
                cells = _csv_cells(name, group.results[name])
                writer.writerow(_without_formulas([*about, *cells]))
    return text.getvalue()


def _without_formulas(cells: list[Any]) -> list[Any]:
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
        for cell in cells
    ]


def _csv_cells(generator: str, figures: Figures) -> list[Any]:
    """Return the cells of one generator, from its name on."""
    published = figures.get("published") or {}
    return [
        generator,
        figures.get("status", "ok"),
        *(figures.get(key) for key in EXPORTED_MEASURES),
        *(figures.get("ap_interval") or (None, None)),
        *(published.get(key) for key in ("ap", "acc", "unconfirmed")),
        *(figures.get(key) for key in COUNTS),
    ]


def render_markdown(runs: Sequence[Run], seed_groups: Sequence[SeedGroup], title: str) -> str:
    """Return GitHub tables in percent: AP of all runs and over seeds, then each run's figures."""
    names = [*generator_names(runs), "mean"]
    labels = run_labels(runs)
    parts = [f"# {_escape_markdown(title)}"]
    if len(runs) > 1:
        results = [{name: figures_of(run, name) for name in names} for run in runs]
        parts += ["AP and its interval, in percent.", _ap_table(labels, results, names)]
    if seed_groups:
        table = _ap_table(
            [group.label for group in seed_groups], [group.results for group in seed_groups], names
        )
        parts += ["## Over seeds", CAPTION, table]
    for run, label in zip(runs, labels, strict=True):
        table = _markdown_table(*_run_table(run, _all_columns(run)))
        parts += [f"## {_escape_markdown(label)}", "In percent.", table]
    return "\n\n".join(parts) + "\n"


def _all_columns(run: Run) -> list[Column]:
    results = [figures for _, figures in result_rows(run.metrics)]
    return visible_columns((*RANKING_COLUMNS, *THRESHOLD_COLUMNS), results)


def _run_table(run: Run, columns: Sequence[Column]) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows of one run."""
    rows = [
        [display_name(name, figures), *(column.cell(figures) for column in columns)]
        for name, figures in result_rows(run.metrics)
    ]
    return ["generator", *(column.heading for column in columns)], rows


def _ap_table(
    labels: Sequence[str], results: Sequence[Mapping[str, Figures]], names: Sequence[str]
) -> str:
    """Return a Markdown table of AP with interval: a row per name, a column per label."""
    rows = [[name, *(format_ap(result.get(name, {})) for result in results)] for name in names]
    return _markdown_table(["generator", *labels], rows)


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", " ".join(text.split()))


def _markdown_table(heading: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(heading) - 1)]
    escaped = [[_escape_markdown(cell) for cell in row] for row in [heading, *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [escaped[0], rule, *escaped[1:]])


def render_latex(runs: Sequence[Run], seed_groups: Sequence[SeedGroup]) -> str:
    """Return booktabs tables in percent, a row per generator, the mean last.

    One run has its main figures as columns. Several runs have one column each with AP and
    interval, the best of each row in bold, `MAX_LATEX_COLUMNS` to a table; so have the groups
    over seeds, in tables of their own.
    """
    if len(runs) == 1:
        columns = [column for column in _all_columns(runs[0]) if column.key in SHORT_LATEX_KEYS]
        heading, rows = _run_table(runs[0], columns)
        return _tabular(heading, [[_escape_latex(cell) for cell in row] for row in rows])
    names = [*generator_names(runs), "mean"]
    results = [{name: figures_of(run, name) for name in names} for run in runs]
    tables = _latex_ap_tables(run_labels(runs), results, names)
    tables += _latex_ap_tables(
        [group.label for group in seed_groups], [group.results for group in seed_groups], names
    )
    return "\n".join(tables)


def _latex_ap_tables(
    labels: Sequence[str], results: Sequence[Mapping[str, Figures]], names: Sequence[str]
) -> list[str]:
    rows = {name: [result.get(name, {}) for result in results] for name in names}
    best = {name: max(map(_shown_ap, row)) if len(row) > 1 else None for name, row in rows.items()}
    tables = []
    for start in range(0, len(labels), MAX_LATEX_COLUMNS):
        part = slice(start, start + MAX_LATEX_COLUMNS)
        body = [
            [_escape_latex(name), *(_latex_ap(figures, best[name]) for figures in row[part])]
            for name, row in rows.items()
        ]
        tables.append(_tabular(["generator", *labels[part]], body))
    return tables


def _shown_ap(figures: Figures) -> float:
    """Return the AP in percent as rounded for display, so that equal texts are equally bold."""
    ap = figures.get("ap")
    return -1.0 if ap is None else round(100 * ap, 1)


def _latex_ap(figures: Figures, best: float | None) -> str:
    text = _escape_latex(format_percent(figures.get("ap")))
    if figures.get("ap") is not None and _shown_ap(figures) == best:
        text = rf"\textbf{{{text}}}"
    if figures.get("ap_interval"):
        text += rf" {{\scriptsize [{_escape_latex(format_interval(figures))}]}}"
    return text


def _escape_latex(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(sign, sign) for sign in " ".join(text.split()))


def _tabular(heading: list[str], body: list[list[str]]) -> str:
    """Return a table; the cells of `body` are LaTeX, those of `heading` plain text."""
    rows = [" & ".join(row) + r" \\" for row in [map(_escape_latex, heading), *body]]
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(heading) - 1)}}}", r"\toprule", rows[0]]
    lines += [r"\midrule", *rows[1:-1], r"\midrule", rows[-1], r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, ""])
