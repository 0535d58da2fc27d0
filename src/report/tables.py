"""Figures as text, and the columns of result tables.

A figure that is absent (None) is shown as a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from genspot.evaluation.results import FAKES_ONLY, MEASURES, OK, REALS_ONLY, result_rows

Figures = Mapping[str, Any]  # the results of one generator or of "mean", as in metrics.json

FEW = 10  # images of a class; the figures of fewer say little
ABSENT = "–"
EXPORTED_MEASURES = (*MEASURES, "shortcut_baseline_ap")
RATES = ("fpr", "tpr", "fpr_val_threshold", "tpr_val_threshold")


def format_percent(value: float | None) -> str:
    """Return a fraction as a percentage with one decimal."""
    return ABSENT if value is None else f"{100 * value:.1f}"


def format_decimal(value: float | None) -> str:
    """Return a number that is no fraction, such as a loss, with three decimals."""
    return ABSENT if value is None else f"{value:.3f}"


def format_signed(value: float | None) -> str:
    """Return a difference of fractions in percentage points, with its sign."""
    return ABSENT if value is None else f"{round(100 * value, 1) + 0:+.1f}".replace("-", "−")


def format_interval(figures: Figures, key: str = "ap") -> str:
    """Return the interval of the AP, or of another figure, in percent."""
    interval = figures.get(f"{key}_interval")
    return " – ".join(map(format_percent, interval)) if interval else ABSENT


def format_estimate(figures: Figures, key: str) -> str:
    """Return a figure in percent, followed by its interval in brackets if it has one."""
    text = format_percent(figures.get(key))
    return f"{text} [{format_interval(figures, key)}]" if figures.get(f"{key}_interval") else text


def format_ap(figures: Figures) -> str:
    """Return the AP in percent, followed by its interval in brackets if it has one."""
    return format_estimate(figures, "ap")


def _called_fake(figures: Figures) -> str:
    """Return what share is called fake, if the images are of one class."""
    rate = {REALS_ONLY: "fpr", FAKES_ONLY: "tpr"}.get(figures.get("status", OK))
    return format_estimate(figures, rate) if rate else ABSENT


def display_name(generator: str, figures: Figures) -> str:
    """Return the name of a generator, followed by its status if it has no complete figures.

    That of the mean says how many generators it is over.
    """
    status = figures.get("status")
    if status is None:
        count = figures["generators"]
        return f"{generator} ({count} {'set' if count == 1 else 'sets'})"
    return generator if status == OK else f"{generator} ({status})"


def shown_rows(metrics: Mapping[str, Any]) -> list[tuple[str, Figures]]:
    """Return name and figures of each row of a table of results: no mean over no generators."""
    rows = result_rows(metrics)
    return [(name, one) for name, one in rows if "status" in one or one["generators"]]


def difference_to_published(figures: Figures) -> float | None:
    """Return the AP minus the published AP, as a fraction."""
    published = figures.get("published")
    if not published or figures.get("ap") is None:
        return None
    return figures["ap"] - published["ap"]


def _published_cell(key: str, figures: Figures) -> str:
    published = figures.get("published") or {}
    text = format_percent(published.get(key))
    return f"{text} (unconfirmed)" if text != ABSENT and published["unconfirmed"] else text


def _image_counts(figures: Figures) -> str:
    total = str(figures["images"])
    return f"{total} ({figures['real']} + {figures['fake']})" if "real" in figures else total


def interval_units(metrics: Mapping[str, Any]) -> str:
    """Return what the intervals of a run are over, such as "the images of each class"."""
    images, photographs = "the images of each class", "the photographs that the images come from"
    tested = [one for one in metrics["generators"].values() if one["images"]]
    counts = sorted({one["clusters"] for one in tested if one.get("clusters")})
    if not counts:
        return images
    number = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    if all(one.get("clusters") for one in tested):
        return f"{photographs} ({number} in a test set)"
    names = ", ".join(name for name, one in metrics["generators"].items() if one.get("clusters"))
    return f"{images}; those of {names} over {photographs} ({number} in a test set)"


def small_sets(metrics: Mapping[str, Any]) -> dict[str, Figures]:
    """Return the sets of both classes that have fewer than `FEW` images of one of them."""
    return {
        name: one
        for name, one in metrics["generators"].items()
        if one["ap"] is not None and min(one["real"], one["fake"]) < FEW
    }


def few_images_note(metrics: Mapping[str, Any]) -> list[str]:
    """Return one line on `small_sets`; without any, no line."""
    found = ", ".join(
        f"{name} ({one['real']} real and {one['fake']} fake)"
        for name, one in small_sets(metrics).items()
    )
    if not found:
        return []
    return [f"Tested on fewer than {FEW} images of a class: {found}. Their figures say little."]


# The cells that do not show a fraction of the figures in percent.
CELLS: dict[str, Callable[[Figures], str]] = {
    "ap_interval": format_interval,
    "called_fake": _called_fake,
    "difference": lambda figures: format_signed(difference_to_published(figures)),
    "images": _image_counts,
    "published": partial(_published_cell, "ap"),
    "published_acc": partial(_published_cell, "acc"),
    "log_loss": lambda figures: format_decimal(figures.get("log_loss")),
    "total_images": lambda figures: str(figures["images"]),
    **{rate: partial(format_estimate, key=rate) for rate in RATES},
}

# Key of a cell → heading.
RANKING_COLUMNS = {
    "ap": "AP",
    "ap_interval": "interval",
    "published": "published AP",
    "difference": "difference",
    "auroc": "AUROC",
    "tpr_at_fpr_0.01": "TPR at 1% FPR",
    "tpr_at_fpr_0.05": "TPR at 5% FPR",
    "shortcut_baseline_ap": "shortcut baseline AP",
    "images": "images (real + fake)",
}
THRESHOLD_COLUMNS = {
    "acc": "accuracy at 0.5",
    "acc_real": "on real",
    "acc_fake": "on fake",
    "published_acc": "published accuracy",
    "acc_val_threshold": "accuracy at the validation threshold",
    "acc_oracle": "accuracy at the best threshold (oracle)",
    "ece": "ECE",
    "ece_calibrated": "ECE after temperature scaling",
    "brier": "Brier score",
    "log_loss": "log loss (nats)",
}
# All with intervals.
CALLED_COLUMNS = {
    "fpr": "false alarms: reals called fake at 0.5",
    "tpr": "found: fakes called fake at 0.5",
    "fpr_val_threshold": "false alarms at the validation threshold",
    "tpr_val_threshold": "found at the validation threshold",
    "images": "images (real + fake)",
}
CONSOLE_COLUMNS = {
    "ap": "AP",
    "ap_interval": "interval",
    "called_fake": "called fake",
    "acc": "accuracy",
    "acc_real": "on real",
    "acc_fake": "on fake",
    "auroc": "AUROC",
    "total_images": "images",
    "shortcut_baseline_ap": "shortcut baseline AP",
    "published": "published AP",
    "published_acc": "published accuracy",
}


def format_cell(key: str, figures: Figures) -> str:
    """Return the text of a cell, from the figures of one generator or of the mean."""
    return CELLS[key](figures) if key in CELLS else format_percent(figures.get(key))


def visible_columns(columns: dict[str, str], metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return those of `columns` that have a figure for at least one generator or the mean."""
    results = [figures for _, figures in shown_rows(metrics)]
    return {
        key: heading
        for key, heading in columns.items()
        if any(format_cell(key, figures) != ABSENT for figures in results)
    }


def result_table(
    metrics: Mapping[str, Any], columns: dict[str, str]
) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows: one row for each of `shown_rows`, no empty column."""
    columns = visible_columns(columns, metrics)
    rows = [
        [display_name(name, figures), *(format_cell(key, figures) for key in columns)]
        for name, figures in shown_rows(metrics)
    ]
    return ["generator", *columns.values()], rows
