"""The results of a run in the form in which experiment trackers take them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genspot.evaluation.results import MEASURES
from genspot.report.curves import precision_recall
from genspot.report.runs import Run
from genspot.report.tables import RATES, difference_to_published

CURVE_POINTS = 100  # at most, of the precision-recall curve of a generator
AP_COLUMNS = ("generator", "ap", "ap_low", "ap_high", "published", "difference", "acc", "images")
PR_COLUMNS = ("generator", "recall", "precision")
PUBLISHED_COLUMNS = (
    *("generator", "publication", "row", "rerun", "unconfirmed"),
    *("ap", "published_ap", "acc", "published_acc"),
)


@dataclass(frozen=True)
class Dashboard:
    """What a tracker shows of one run. All figures are fractions.

    Attributes:
        figures: "MEASURE/GENERATOR" and "MEASURE/mean" → value, such as "ap/biggan", and the rates
            "fpr/GENERATOR" etc.; absent figures are left out. Every tracker takes these.
        bounds: "ap_low/GENERATOR" and "ap_high/GENERATOR" → end of the AP's interval; "fpr_low/…"
            etc. of the shares called fake.
        ap_table: rows of `ap_columns`, the mean last; None where a figure is absent.
        pr_points: rows of `pr_columns`, at most `CURVE_POINTS` per generator that has an AP.
        pictures: "FOLDER/NAME" → PNG file of the run, such as "spectra/biggan_real".
        published: rows of `published_columns`, one for each generator or mean and publication.
        ap_columns, pr_columns, published_columns: the headings of the tables.
    """

    figures: dict[str, float]
    bounds: dict[str, float]
    ap_table: list[list[Any]]
    pr_points: list[list[Any]]
    pictures: dict[str, Path]
    published: list[list[Any]]
    ap_columns: tuple[str, ...] = AP_COLUMNS
    pr_columns: tuple[str, ...] = PR_COLUMNS
    published_columns: tuple[str, ...] = PUBLISHED_COLUMNS


def dashboard(run: Run) -> Dashboard:
    """Return what a tracker shows of `run`; its pictures must be in its folder."""
    figures: dict[str, float] = {}
    bounds: dict[str, float] = {}
    ap_table = []
    for name, result in run.results.items():
        shown = {key: result.get(key) for key in (*MEASURES, *RATES)}
        figures |= {f"{key}/{name}": value for key, value in shown.items() if value is not None}
        low, high = result["ap_interval"] or (None, None)
        for key in ("ap", *RATES):
            if interval := result.get(f"{key}_interval"):
                bounds |= {f"{key}_low/{name}": interval[0], f"{key}_high/{name}": interval[1]}
        row = {**result, "generator": name, "ap_low": low, "ap_high": high}
        row["published"] = (result.get("published") or {}).get("ap")
        row["difference"] = difference_to_published(result)
        ap_table.append([row[column] for column in AP_COLUMNS])
    pr_points = [
        [name, float(recall), float(precision)]
        for name in run.complete_generators
        for recall, precision in zip(
            *precision_recall(run.images[name], CURVE_POINTS), strict=True
        )
    ]
    files = [*sorted(run.folder.glob("spectra/*.png")), *sorted(run.folder.glob("ranking/*.png"))]
    pictures = {f"{file.parent.name}/{file.stem}": file for file in files}
    published = [
        [name, one["name"], *(one[key] for key in ("row", "rerun", "unconfirmed"))]
        + [result.get("ap"), one["ap"], result.get("acc"), one["acc"]]
        for name, result in run.results.items()
        for one in result.get("baselines") or ()
    ]
    return Dashboard(figures, bounds, ap_table, pr_points, pictures, published)
