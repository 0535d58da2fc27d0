"""The report on one or several finished runs: one HTML page and the tables as files."""

from __future__ import annotations

from collections.abc import Sequence

from genspot.report import (
    comparison,
    conditions,
    curves,
    detectors,
    exports,
    gallery,
    shares,
    summary,
    tables,
)
from genspot.report.calibration import calibration_table
from genspot.report.console import notes
from genspot.report.explanation import explain
from genspot.report.held_out import differ_in_held_out, held_out_tables, in_order_of_sets
from genspot.report.published import published_table
from genspot.report.runs import Run, generator_names, label_runs, mean_names
from genspot.report.sections.spectra import spectra
from genspot.report.sections.words import Table
from genspot.report.templating import render_template


def render_report(runs: Sequence[Run], title: str) -> dict[str, str]:
    """Return the report as file name → text, in the order in which to write the files.

    Args:
        runs: finished runs, at least one; the others are compared with the first.
        title: of the page.

    Returns:
        results.csv, results.md, results.tex; detectors.csv where there are detectors to compare
        or published figures; and last report.html, whose presence marks a complete run.
    """
    runs = label_runs(in_order_of_sets(runs))
    groups, held_out = comparison.over_seeds(runs), held_out_tables(runs)
    under_conditions = conditions.condition_groups(runs)
    found = detectors.detectors(runs, groups)
    more = under_conditions, found
    files = {
        "results.csv": exports.render_csv(runs, groups, under_conditions),
        "results.md": exports.render_markdown(runs, groups, title, held_out, *more),
        "results.tex": exports.render_latex(runs, groups, *more),
    }
    if listed := found or detectors.of_runs(runs):
        files["detectors.csv"] = exports.render_detectors_csv(listed)
    page = _render_page(runs, groups, title, held_out, *more, with_detectors=bool(listed))
    return {**files, "report.html": page}


def _render_page(
    runs: Sequence[Run],
    groups: Sequence[comparison.SeedGroup],
    title: str,
    held_out: Sequence[Table],
    under_conditions: Sequence[conditions.ConditionGroup],
    found: Sequence[detectors.Detector],
    with_detectors: bool,
) -> str:
    """Return the page, which refers to nothing outside itself."""
    generators, several = generator_names(runs, one_class=False), len(runs) > 1
    held_apart = bool(held_out) and differ_in_held_out(runs)
    shown_already = held_apart or conditions.covers(under_conditions, runs)
    few = dict.fromkeys(note for run in runs for note in tables.few_images_note(run.metrics))
    return render_template(
        "report.html",
        title=title,
        several=several,
        headline=summary.headline(runs, held_out if held_apart else ()),
        few=few,
        runs=runs,
        notes=notes,
        summary=summary,
        tables=tables,
        means=mean_names(runs),
        best=comparison.best_aps(runs, [*mean_names(runs), *generators]),
        held_out=held_out,
        detectors=detectors.detector_tables(found),
        with_detectors=with_detectors,
        published_table=published_table,
        calibration_table=calibration_table,
        heat_shade=comparison.heat_shade,
        ranked=any(run.complete_generators for run in runs),
        bars=comparison.mean_bars(runs) if several else None,
        shares=shares,
        seed_groups=groups,
        seeds_caption=comparison.SEEDS_CAPTION,
        condition_tables=[group.table() for group in under_conditions],
        conditions_title=conditions.TITLE,
        differences=[] if shown_already else comparison.differences(runs),
        generators=generators,
        robustness=curves.robustness_sections(runs),
        precision_recall=curves.precision_recall_panels(runs),
        max_curves=curves.MAX_RUNS,
        reliability=curves.reliability_panels(runs),
        spectra=next((shown for run in runs if (shown := spectra(run))), []),
        explained=None if several else explain(runs[0]),
        gallery_rows=gallery.gallery_rows(runs[0]),
    )
