"""The figures as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genspot.common.tables import csv_cell
from genspot.evaluation.results import MEAN_ROWS
from genspot.report import conditions, shares, tables
from genspot.report.calibration import calibration_table
from genspot.report.comparison import SEEDS_CAPTION, SeedGroup, best_aps
from genspot.report.conditions import ConditionGroup
from genspot.report.detectors import (
    EXPORTED,
    Detector,
    detector_tables,
    export_rows,
)
from genspot.report.markdown import escape_markdown, markdown_table
from genspot.report.published import published_table
from genspot.report.runs import CHOICES, Run, generator_names, mean_names
from genspot.report.sections.words import Table
from genspot.report.tables import Figures

CSV_COLUMNS = ["run", "folder", *CHOICES, "checkpoint", "generator", "status"]
CSV_COLUMNS += [*tables.EXPORTED_MEASURES, "ap_low", "ap_high"]
CSV_COLUMNS += [f"{rate}{end}" for rate in tables.RATES for end in ("", "_low", "_high")]
CSV_COLUMNS += ["published_ap", "published_acc", "published_unconfirmed"]
CSV_COLUMNS += ["ap_drop", "ap_drop_low", "ap_drop_high"]  # of a test under a condition
CSV_COLUMNS += ["images", "real", "fake", "padded", "unreadable"]
ALL_COLUMNS = tables.RANKING_COLUMNS | tables.THRESHOLD_COLUMNS | tables.CALLED_COLUMNS
MAX_LATEX_COLUMNS = 5  # runs side by side in one LaTeX table
SHORT_LATEX_COLUMNS = {
    key: (ALL_COLUMNS | tables.CONSOLE_COLUMNS)[key]
    for key in ("ap", "ap_interval", "called_fake", "published", "difference", "auroc", "images")
}
SHORT_LATEX_COLUMNS["acc"] = ALL_COLUMNS["acc"]
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


def render_csv(
    runs: Sequence[Run],
    seed_groups: Sequence[SeedGroup],
    under_conditions: Sequence[ConditionGroup] = (),
) -> str:
    """Return one row per run and generator (and mean), with every measure as an exact fraction.

    Rows over seeds follow; they have no folder, no checkpoint, and no measure but the AP. Texts
    are as `genspot.common.tables.csv_cell` has them.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    drops = _drops(under_conditions)
    for run in runs:
        source = {"folder": run.folder.name, "checkpoint": run.metrics["checkpoint"]}
        results = {
            name: {**figures, **drops.get((run.label, name), {})}
            for name, figures in run.results.items()
        }
        writer.writerows(_csv_rows({"run": run.label, **source, **run.choices}, results))
    for group in seed_groups:
        all_seeds = " ".join(str(run.training_seed) for run in group.runs)
        metadata = {"run": group.label, **group.runs[0].choices, "seed": all_seeds}
        names = [*generator_names(runs), *mean_names(runs)]
        names = [name for name in names if name in group.results]
        writer.writerows(_csv_rows(metadata, {name: group.results[name] for name in names}))
    return text.getvalue()


def _drops(groups: Sequence[ConditionGroup]) -> dict[tuple[str, str], dict[str, float | None]]:
    """Return (run, row) → the cells on the drop of its AP under a condition."""
    found = {}
    for group in groups:
        for run, drops in zip(group.runs, group.drops, strict=True):
            for name, drop in drops.items():
                low, high = drop.interval or (None, None)
                cells = {"ap_drop": drop.value, "ap_drop_low": low, "ap_drop_high": high}
                found[run.label, name] = cells
    return found


def render_detectors_csv(found: Sequence[Detector]) -> str:
    """Return the rows of `detectors.export_rows`, texts as in `render_csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, EXPORTED, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_safe_cells(row) for row in export_rows(found))
    return text.getvalue()


def _safe_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: csv_cell(value) if isinstance(value, str) else value for key, value in row.items()
    }


def _csv_rows(
    metadata: Mapping[str, str], results: Mapping[str, Figures]
) -> Iterable[dict[str, Any]]:
    for name, figures in results.items():
        published = (figures.get("published") or {}).items()
        row = {"status": "ok", **figures, **metadata, "generator": name}
        for key in ("ap", *tables.RATES):
            row[f"{key}_low"], row[f"{key}_high"] = figures.get(f"{key}_interval") or (None, None)
        row |= {f"published_{key}": value for key, value in published}
        yield _safe_cells(row)


def render_markdown(
    runs: Sequence[Run],
    seed_groups: Sequence[SeedGroup],
    title: str,
    held_out: Sequence[Table] = (),
    under_conditions: Sequence[ConditionGroup] = (),
    found: Sequence[Detector] = (),
) -> str:
    """Return GitHub tables in percent.

    The detectors that are `found`; AP of generators held out, of all runs, under conditions with
    its drop; the shares called fake of the sets of one class; AP over seeds; then each run's
    figures, those that were published, and its calibration on generators left out of the fit.
    """
    names = _ap_names(runs)
    parts = [f"# {escape_markdown(title)}"]
    for number, one in enumerate(detector_tables(found)):
        parts += ["## Detectors"] * (number == 0)
        parts += [escape_markdown(one.caption), markdown_table(one.heading, one.rows)]
    for one in held_out:
        table = markdown_table(one.heading, one.rows)
        parts += ["## Held out and seen", escape_markdown(one.caption), table]
    if len(runs) > 1 and names:
        parts += ["## AP of each run"] if held_out else []
        table = _markdown_ap_table(runs, names)
        parts += ["AP and its interval, in percent.", table]
    for group in under_conditions:
        caption, heading, rows = group.table()
        table = markdown_table(heading, rows)
        parts += [f"## {conditions.TITLE}", escape_markdown(caption), table]
    if len(runs) > 1 and (rows := _called_rows(runs)):
        parts += [shares.CAPTION, markdown_table(["set", *(run.label for run in runs)], rows)]
    if seed_groups:
        table = _markdown_ap_table(seed_groups, names)
        parts += ["## Over seeds", SEEDS_CAPTION, table]
    for run in runs:
        table = markdown_table(*tables.result_table(run.metrics, ALL_COLUMNS))
        parts += [f"## {escape_markdown(run.label)}", "In percent.", table]
        for beside in (published_table(run), calibration_table(run.metrics)):
            if beside:
                table = markdown_table(beside.heading, beside.rows)
                parts += [escape_markdown(beside.caption), table]
    return "\n\n".join(parts) + "\n"


def _ap_names(runs: Sequence[Run]) -> list[str]:
    """Return the rows of a table of APs; none where no run has one."""
    if not any(run.complete_generators for run in runs):
        return []
    return [*generator_names(runs, one_class=False), *mean_names(runs)]


def _called_rows(runs: Sequence[Run]) -> list[list[str]]:
    """Return a row for each set of one class: its name, and each run's share called fake."""
    return [
        [name, *(tables.format_cell("called_fake", run.results.get(name, {})) for run in runs)]
        for name in shares.one_class_sets(runs)
    ]


def _markdown_ap_table(runs: Sequence[Run | SeedGroup], names: Sequence[str]) -> str:
    """Return a table of AP with interval: a row per name, a column per run or group."""
    rows = [
        [name, *(tables.format_ap(run.results.get(name, {})) for run in runs)] for name in names
    ]
    return markdown_table(["generator", *(run.label for run in runs)], rows)


def render_latex(
    runs: Sequence[Run],
    seed_groups: Sequence[SeedGroup],
    under_conditions: Sequence[ConditionGroup] = (),
    found: Sequence[Detector] = (),
) -> str:
    """Return booktabs tables in percent, a row per generator, the mean last.

    One run has its main figures as columns. Several runs have one column each with AP and
    interval, the best of each row in bold, `MAX_LATEX_COLUMNS` to a table. Then come tables of
    the shares called fake of the sets of one class, those of the groups over seeds, one for
    each condition of a test with its drop, and those of the detectors that are `found`.
    """
    if len(runs) == 1:
        heading, rows = tables.result_table(runs[0].metrics, SHORT_LATEX_COLUMNS)
        means = len(rows) - len(runs[0].metrics["generators"])
        beside = published_table(runs[0])
        parts = [_latex_table(heading, _escape_cells(rows), means)]
        return "\n".join([*parts, *(_latex_parts(beside) if beside else [])])
    names, texts = _ap_names(runs), _latex_called_tables(runs)
    if names:
        texts = _latex_ap_tables(runs, names) + texts + _latex_ap_tables(seed_groups, names)
    for group in under_conditions:
        means = sum(name in MEAN_ROWS.values() for name in group.rows)
        for number in range(len(group.runs)):
            _, heading, rows = group.table_of(number)
            texts.append(_latex_table(heading, _escape_cells(rows), means))
    texts += [part for table in detector_tables(found) for part in _latex_parts(table)]
    return "\n".join(texts)


def _latex_parts(table: Table) -> list[str]:
    """Return a table in tables of at most `MAX_LATEX_COLUMNS` columns beside the first.

    A comment with the caption, which explains the marks, comes first.
    """
    found = [f"% {' '.join(table.caption.split())}"]
    for start in range(1, len(table.heading), MAX_LATEX_COLUMNS):
        part = slice(start, start + MAX_LATEX_COLUMNS)
        body = _escape_cells([row[0], *row[part]] for row in table.rows)
        found.append(_latex_table([table.heading[0], *table.heading[part]], body, means=0))
    return found


def _latex_called_tables(runs: Sequence[Run]) -> list[str]:
    labels, rows, found = [run.label for run in runs], _called_rows(runs), []
    for start in range(0, len(runs) if rows else 0, MAX_LATEX_COLUMNS):
        part = slice(start, start + MAX_LATEX_COLUMNS)
        body = _escape_cells([row[0], *row[1:][part]] for row in rows)
        found.append(_latex_table(["set", *labels[part]], body, means=0))
    return found


def _escape_cells(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    return [[_escape_latex(cell) for cell in row] for row in rows]


def _latex_ap_tables(runs: Sequence[Run | SeedGroup], names: Sequence[str]) -> list[str]:
    rows = {name: [run.results.get(name, {}) for run in runs] for name in names}
    best = best_aps(runs, names) if len(runs) > 1 else {}
    labels, found = [run.label for run in runs], []
    for start in range(0, len(runs), MAX_LATEX_COLUMNS):
        part = slice(start, start + MAX_LATEX_COLUMNS)
        body = [
            [_escape_latex(name), *(_latex_ap(figures, best.get(name)) for figures in row[part])]
            for name, row in rows.items()
        ]
        means = sum(name in MEAN_ROWS.values() for name in names)
        found.append(_latex_table(["generator", *labels[part]], body, means))
    return found


def _latex_ap(figures: Figures, best: str | None) -> str:
    ap = tables.format_percent(figures.get("ap"))
    text = rf"\textbf{{{ap}}}" if ap == best else _escape_latex(ap)
    if figures.get("ap_interval"):
        text += rf" {{\scriptsize [{_escape_latex(tables.format_interval(figures))}]}}"
    return text


def _escape_latex(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(sign, sign) for sign in " ".join(text.split()))


def _latex_table(heading: list[str], body: list[list[str]], means: int) -> str:
    """Return a table; the cells of `body` are LaTeX, those of `heading` plain text.

    A rule separates the last rows, which are `means`.
    """
    rows = [" & ".join(row) + r" \\" for row in [map(_escape_latex, heading), *body]]
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(heading) - 1)}}}", r"\toprule", rows[0]]
    first = len(rows) - means
    last = [r"\midrule", *rows[first:]] if means else []
    lines += [r"\midrule", *rows[1:first], *last, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, ""])
