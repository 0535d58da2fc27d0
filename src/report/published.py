"""The figures of runs beside those that were published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from genspot.report.runs import Run
from genspot.report.sections.words import Table
from genspot.report.tables import ABSENT, format_percent, format_signed

Row = tuple[str, str]  # name of a publication, and a row of it

MEASURES = {"ap": "AP", "acc": "accuracy"}
MARKS = (
    "Re-run: measured by others than the detector's authors. Unconfirmed: found in one source "
    "only. Augmentation not stated: the source does not say how the detector was trained, which "
    "may be otherwise."
)
PUBLISHED_CAPTION = (
    "Figures published for such a detector, tested like this: in percent, then here minus "
    f"published in percentage points. {MARKS}"
)


class RowLabel(NamedTuple):
    """What names a row of a publication, with its marks."""

    text: str
    unconfirmed: bool  # all of its figures are, so that the text says it and not each of them


def baseline_labels(results: Iterable[Mapping[str, Any]]) -> dict[Row, RowLabel]:
    """Return the label of each row of publications that `results` have."""
    rows: dict[Row, list[Mapping[str, Any]]] = {}
    for figures in results:
        for one in figures.get("baselines") or ():
            rows.setdefault((one["name"], one["row"]), []).append(one)
    return {row: _row_label(found) for row, found in rows.items()}


def _row_label(figures: list[Mapping[str, Any]]) -> RowLabel:
    first, unconfirmed = figures[0], all(one["unconfirmed"] for one in figures)
    marks = ["re-run"] * first["rerun"] + ["unconfirmed"] * unconfirmed
    marks += ["augmentation not stated"] * lacks_augmentation(first)
    marked = f" ({', '.join(marks)})" if marks else ""
    return RowLabel(f"{first['title']}: {first['row']}{marked}", unconfirmed)


def lacks_augmentation(one: Mapping[str, Any]) -> bool:
    """Return whether the source of a published figure does not say how images were augmented."""
    return "aug" in one and one["aug"] is None  # results of older versions lack it


def difference(
    figures: Mapping[str, Any], one: Mapping[str, Any] | None, key: str
) -> float | None:
    """Return a figure minus the published one, as a fraction; None if one of them is absent."""
    if one is None or one[key] is None or figures.get(key) is None:
        return None
    return figures[key] - one[key]


def beside(figures: Mapping[str, Any], baseline: Row, label: RowLabel, key: str) -> str:
    """Return what a row of a publication has for a generator, and the difference.

    Args:
        figures: of the generator, with its `baselines`.
        baseline: name of the publication, and its row.
        label: of the row; a figure is marked as unconfirmed where others of the row are not.
        key: of the measure.
    """
    for one in figures.get("baselines") or ():
        if (one["name"], one["row"]) == baseline and one[key] is not None:
            marked = one["unconfirmed"] and not label.unconfirmed
            text = format_percent(one[key]) + (" (unconfirmed)" if marked else "")
            return f"{text}, {format_signed(difference(figures, one, key))}"
    return ABSENT


def published_notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each row of a publication that stands beside the figures of a run."""
    of_sets: dict[Row, list[Mapping[str, Any]]] = {}
    for figures in metrics["generators"].values():
        for one in figures.get("baselines") or ():
            of_sets.setdefault((one["name"], one["row"]), []).append(one)
    labels = baseline_labels(metrics["generators"].values())
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
        found.append(f"Published beside: {labels[key].text} ({about}).")
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
            if any(beside(one, baseline, label, key) != ABSENT for one in results.values())
        }
        if with_figures:
            heading.append(f"{measure} here")
            columns.append([format_percent(one.get(key)) for one in results.values()])
        for baseline, label in with_figures.items():
            heading.append(f"{measure}, {label.text}")
            columns.append([beside(one, baseline, label, key) for one in results.values()])
    if not columns:
        return None
    rows = [[name, *cells] for name, *cells in zip(results, *columns, strict=True)]
    return Table(PUBLISHED_CAPTION, heading, rows)
