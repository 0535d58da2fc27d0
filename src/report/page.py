"""The report on one or several finished runs: one HTML page and the tables as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from genspot.evaluation.results import result_rows
from genspot.report import (
    columns,
    comparison,
    curves,
    exports,
    figures,
    gallery,
    robustness,
    seeds,
    summary,
)
from genspot.report.console import notes
from genspot.report.formats import display_name, format_ap, format_percent
from genspot.report.runs import Run, figures_of, generator_names, run_labels

MAX_SHADE = 65  # percent of the heat map's colour at AP 100, so that text on it stays legible


def render_report(runs: Sequence[Run], title: str) -> dict[str, str]:
    """Return the report as file name → text, in the order in which to write the files.

    Args:
        runs: finished runs, at least one; the others are compared with the first.
        title: of the page.

    Returns:
        results.csv, results.md, results.tex, and last report.html, whose presence marks a
        complete run.
    """
    groups = seeds.over_seeds(runs)
    return {
        "results.csv": exports.render_csv(runs, groups),
        "results.md": exports.render_markdown(runs, groups, title),
        "results.tex": exports.render_latex(runs, groups),
        "report.html": _render_page(runs, groups, title),
    }


def _render_page(runs: Sequence[Run], groups: Sequence[seeds.SeedGroup], title: str) -> str:
    """Return the page, which refers to nothing outside itself."""
    environment = Environment(
        loader=PackageLoader("genspot.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels, generators = run_labels(runs), generator_names(runs)
    return environment.get_template("report.html").render(
        title=title,
        several=len(runs) > 1,
        headline=summary.headline(runs),
        runs=[_run_section(run, label) for run, label in zip(runs, labels, strict=True)],
        heat_map=heat_map(runs) if len(runs) > 1 else [],
        bars=_bars(runs, labels) if len(runs) > 1 else None,
        seed_groups=[_seed_row(group, generators) for group in groups],
        seeds_caption=seeds.CAPTION,
        differences=comparison.differences(runs),
        generators=generators,
        robustness=_robustness_sections(runs),
        precision_recall=curves.precision_recall_panels(runs),
        max_curves=curves.MAX_RUNS,
        reliability=curves.reliability_panels(runs),
        spectra=next((found for run in runs if (found := gallery.spectra(run))), []),
        gallery_rows=gallery.gallery_rows(runs[0]),
    )


def _run_section(run: Run, label: str) -> dict[str, Any]:
    """Return what the template shows of one run."""
    results = result_rows(run.metrics)
    tables = (
        ("Ranking of fakes above reals, without a threshold", columns.RANKING_COLUMNS),
        ("Accuracy at a threshold, and calibration", columns.THRESHOLD_COLUMNS),
    )
    return {
        "label": label,
        "tables": [
            (caption, columns.visible_columns(group, (result for _, result in results)))
            for caption, group in tables
        ],
        "rows": [(name, display_name(name, result), result) for name, result in results],
        "gap_note": summary.ap_accuracy_gap_note(run),
        "notes": notes(run.metrics),
        "facts": summary.run_facts(run),
        "config": run.config,
    }


def _seed_row(group: seeds.SeedGroup, generators: Sequence[str]) -> dict[str, Any]:
    """Return a row of the table over seeds: the mean, then every generator."""
    names = ["mean", *generators]
    return {
        "label": group.label,
        "choice": group.choice,
        "runs": len(group.runs),
        "cells": [(name, format_ap(group.results.get(name, {}))) for name in names],
    }


def heat_map(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the rows of the heat map: per run the AP of the mean and of every generator.

    A cell has its text, its shade in percent of the colour (0 up to AP 50), and whether it is
    the best of its column.
    """
    names = ["mean", *generator_names(runs)]
    values = {name: [figures_of(run, name).get("ap") for run in runs] for name in names}
    best = {
        name: max((format_percent(ap) for ap in column if ap is not None), key=float, default="")
        for name, column in values.items()
    }
    return [
        {"label": label, "cells": [_cell(values[name][row], best[name], name) for name in names]}
        for row, label in enumerate(run_labels(runs))
    ]


def _cell(ap: float | None, best: str, generator: str) -> dict[str, Any]:
    text = format_percent(ap)
    shade = 0 if ap is None else round(MAX_SHADE * max(0.0, 2 * ap - 1))
    return {"generator": generator, "text": text, "shade": shade, "best": text == best}


def _bars(runs: Sequence[Run], labels: Sequence[str]) -> Markup:
    means = [run.metrics["mean"] for run in runs]
    values = "; ".join(
        f"{label} {format_percent(mean['ap'])}" for label, mean in zip(labels, means, strict=True)
    )
    return figures.bars(
        labels,
        [mean["ap"] for mean in means],
        [mean.get("ap_interval") for mean in means],
        "bars",
        f"Mean AP in percent of each run: {values}.",
    )


def _robustness_sections(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return name, curves and chains of each group of runs that differ only in degradations."""
    sections = []
    for number, group in enumerate(robustness.degradation_groups(runs)):
        choices = group[0].choices
        sections.append(
            {
                "name": f"{choices['data']}, {choices['aug']}, {choices['model']}",
                "curves": [
                    (curve.axis, curves.robustness_panels(curve, f"robust{number}-{curve.kind}-"))
                    for curve in robustness.degradation_curves(group)
                ],
                "chains": [
                    (run.choices["degradations"], format_percent(run.metrics["mean"]["ap"]))
                    for run in robustness.degradation_chains(group)
                ],
            }
        )
    return sections
