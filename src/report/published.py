"""The figures of runs beside those that were published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from genspot.report.runs import Run
from genspot.report.sections.words import Table
from genspot.report.tables import ABSENT, format_percent, format_signed

Row = tuple[str, str]  # name of a publication, and a row of it

MEASURES = {"ap": "AP", "acc": "accuracy"}
PUBLISHED_CAPTION = (
    "Figures published for such a detector, tested like this: in percent, and here minus "
    "published in percentage points."
)


def baseline_label(one: Mapping[str, Any]) -> str:
    """Return what names a row of a publication; re-runs are marked."""
    return f"{one['title']}: {one['row']}{' (re-run)' if one['rerun'] else ''}"


def baseline_labels(results: Iterable[Mapping[str, Any]]) -> dict[Row, str]:
    """Return the rows of publications that `results` have, each with its `baseline_label`."""
    return {
        (one["name"], one["row"]): baseline_label(one)
        for figures in results
        for one in figures.get("baselines") or ()
    }


def format_published(one: Mapping[str, Any], key: str) -> str:
    """Return a published figure in percent, marked if it is unconfirmed."""
    return format_percent(one[key]) + (" (unconfirmed)" if one["unconfirmed"] else "")


def difference(
    figures: Mapping[str, Any], one: Mapping[str, Any] | None, key: str
) -> float | None:
    """Return a figure minus the published one, as a fraction; None if one of them is absent."""
    if one is None or one[key] is None or figures.get(key) is None:
        return None
    return figures[key] - one[key]


def beside(figures: Mapping[str, Any], baseline: Row, key: str) -> str:
    """Return what a row of a publication has for a generator, and the difference.

    Args:
        figures: of the generator, with its `baselines`.
        baseline: name of the publication, and its row.
        key: of the measure.
    """
    for one in figures.get("baselines") or ():
        if (one["name"], one["row"]) == baseline and one[key] is not None:
            return f"{format_published(one, key)}, {format_signed(difference(figures, one, key))}"
    return ABSENT


def published_notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each row of a publication that stands beside the figures of a run."""
    of_sets: dict[Row, list[Mapping[str, Any]]] = {}
    for figures in metrics["generators"].values():
        for one in figures.get("baselines") or ():
            of_sets.setdefault((one["name"], one["row"]), []).append(one)
    means = {(one["name"], one["row"]): one for one in metrics["mean"].get("baselines") or ()}
    found = []
    for key, sets in of_sets.items():
        number = f"{len(sets)} {'set' if len(sets) == 1 else 'sets'}"
        averages = [
            f"mean {measure} {format_percent(means[key][name])}"
            for name, measure in MEASURES.items()
            if key in means and means[key][name] is not None
        ]
        about = ", ".join([sets[0]["source"], number, *averages])
        found.append(f"Published beside: {baseline_label(sets[0])} ({about}).")
    return found


def published_table(run: Run) -> Table | None:
    """Return the figures of one run beside all that were published; None without any."""
    results = {name: one for name, one in run.results.items() if one.get("baselines")}
    labels = baseline_labels(results.values())
    heading, columns = ["generator"], []
    for key, measure in MEASURES.items():
        with_figures = {
            baseline: label
            for baseline, label in labels.items()
            if any(beside(one, baseline, key) != ABSENT for one in results.values())
        }
        if with_figures:
            heading.append(f"{measure} here")
            columns.append([format_percent(one.get(key)) for one in results.values()])
        for baseline, label in with_figures.items():
            heading.append(f"{measure}, {label}")
            columns.append([beside(one, baseline, key) for one in results.values()])
    if not columns:
        return None
    rows = [[name, *cells] for name, *cells in zip(results, *columns, strict=True)]
    return Table(PUBLISHED_CAPTION, heading, rows)
