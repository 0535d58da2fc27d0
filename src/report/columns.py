"""The columns of result tables, shared by the page, the exports and the console."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from genspot.evaluation.results import MEASURES
from genspot.report.formats import ABSENT, Figures, format_interval, format_percent, format_signed

EXPORTED_MEASURES = (*MEASURES, "shortcut_baseline_ap")


@dataclass(frozen=True)
class Column:
    """A column of a result table.

    Attributes:
        key: the name of the figure.
        heading: what readers see.
        cell: the text of the cell, from the figures of one generator.
    """

    key: str
    heading: str
    cell: Callable[[Figures], str]


def percent_column(key: str, heading: str) -> Column:
    """Return a column that shows the fraction `key` in percent."""
    return Column(key, heading, lambda figures: format_percent(figures.get(key)))


def difference_to_published(figures: Figures) -> float | None:
    """Return the AP minus the published AP, as a fraction."""
    published = figures.get("published")
    if not published or figures.get("ap") is None:
        return None
    return figures["ap"] - published["ap"]


def _published_column(key: str, heading: str, published_key: str) -> Column:
    def cell(figures: Figures) -> str:
        published = figures.get("published")
        if not published or published.get(published_key) is None:
            return ABSENT
        note = " (unconfirmed)" if published["unconfirmed"] else ""
        return format_percent(published[published_key]) + note

    return Column(key, heading, cell)


def _image_counts(figures: Figures) -> str:
    total = f"{figures.get('images', 0)}"
    return f"{total} ({figures['real']} + {figures['fake']})" if "real" in figures else total


AP = percent_column("ap", "AP")
INTERVAL = Column("ap_interval", "interval", format_interval)
AUROC = percent_column("auroc", "AUROC")
SHORTCUT_BASELINE = percent_column("shortcut_baseline_ap", "shortcut baseline AP")
ACC_REAL = percent_column("acc_real", "on real")
ACC_FAKE = percent_column("acc_fake", "on fake")
PUBLISHED_AP = _published_column("published", "published AP", "ap")
PUBLISHED_ACC = _published_column("published_acc", "published accuracy", "acc")

RANKING_COLUMNS = (
    AP,
    INTERVAL,
    PUBLISHED_AP,
    Column(
        "difference", "difference", lambda result: format_signed(difference_to_published(result))
    ),
    AUROC,
    percent_column("tpr_at_fpr_0.01", "TPR at 1% FPR"),
    percent_column("tpr_at_fpr_0.05", "TPR at 5% FPR"),
    SHORTCUT_BASELINE,
    Column("images", "images (real + fake)", _image_counts),
)
THRESHOLD_COLUMNS = (
    percent_column("acc", "accuracy at 0.5"),
    ACC_REAL,
    ACC_FAKE,
    PUBLISHED_ACC,
    percent_column("acc_val_threshold", "accuracy at the validation threshold"),
    percent_column("acc_oracle", "accuracy at the best threshold (oracle)"),
    percent_column("ece", "ECE"),
    percent_column("ece_calibrated", "ECE after temperature scaling"),
)
CONSOLE_COLUMNS = (
    AP,
    INTERVAL,
    percent_column("acc", "accuracy"),
    ACC_REAL,
    ACC_FAKE,
    AUROC,
    Column("images", "images", lambda figures: str(figures["images"])),
    SHORTCUT_BASELINE,
    PUBLISHED_AP,
    PUBLISHED_ACC,
)


def visible_columns(columns: Sequence[Column], results: Iterable[Figures]) -> list[Column]:
    """Return those of `columns` that have a figure in at least one of `results`."""
    results = list(results)
    return [
        column for column in columns if any(column.cell(figures) != ABSENT for figures in results)
    ]
