"""The results of a run in the form in which experiment trackers take them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genspot.evaluation.results import MEASURES, result_rows
from genspot.report.columns import difference_to_published
from genspot.report.formats import Figures
from genspot.report.precision_recall import precision_recall, thin
from genspot.report.runs import Run

CURVE_POINTS = 100  # at most, of the precision-recall curve of a generator
PICTURE_FOLDERS = ("spectra", "ranking")
AP_COLUMNS = ("generator", "ap", "ap_low", "ap_high", "published", "difference", "acc", "images")
PR_COLUMNS = ("generator", "recall", "precision")


@dataclass(frozen=True)
class Dashboard:
    """What a tracker shows of one run. All figures are fractions.

    Attributes:
        figures: "MEASURE/GENERATOR" and "MEASURE/mean" → value, such as "ap/biggan"; absent
            figures are left out. Every tracker takes these.
        bounds: "ap_low/GENERATOR" and "ap_high/GENERATOR" → end of the AP's interval.
        ap_table: rows of `ap_columns`, the mean last; None where a figure is absent.
        pr_points: rows of `pr_columns`, at most `CURVE_POINTS` per generator that has an AP.
        pictures: "FOLDER/NAME" → PNG file of the run, such as "spectra/biggan_real".
        ap_columns, pr_columns: the headings of the tables.
    """

    figures: dict[str, float]
    bounds: dict[str, float]
    ap_table: list[list[Any]]
    pr_points: list[list[Any]]
    pictures: dict[str, Path]
    ap_columns: tuple[str, ...] = AP_COLUMNS
    pr_columns: tuple[str, ...] = PR_COLUMNS


def dashboard(run: Run) -> Dashboard:
    """Return what a tracker shows of `run`; its pictures must be in its folder."""
    results = result_rows(run.metrics)
    intervals = {name: figures["ap_interval"] for name, figures in results}
    return Dashboard(
        figures={
            f"{measure}/{name}": figures[measure]
            for name, figures in results
            for measure in MEASURES
            if figures[measure] is not None
        },
        bounds={
            f"{key}/{name}": bound
            for name, interval in intervals.items()
            if interval
            for key, bound in zip(("ap_low", "ap_high"), interval, strict=True)
        },
        ap_table=[_ap_row(name, figures) for name, figures in results],
        pr_points=[
            [name, float(recall), float(precision)]
            for name in run.complete_generators
            for recall, precision in zip(
                *thin(precision_recall(run.images[name]), CURVE_POINTS), strict=True
            )
        ],
        pictures={
            f"{folder}/{file.stem}": file
            for folder in PICTURE_FOLDERS
            for file in sorted((run.folder / folder).glob("*.png"))
        },
    )


def _ap_row(name: str, figures: Figures) -> list[Any]:
    low, high = figures["ap_interval"] or (None, None)
    published = (figures.get("published") or {}).get("ap")
    difference = difference_to_published(figures)
    return [
        name,
        figures["ap"],
        low,
        high,
        published,
        difference,
        figures["acc"],
        figures["images"],
    ]
