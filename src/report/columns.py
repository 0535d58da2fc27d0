"""What the tables show of each generator, the same on the page and in the files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genspot.evaluation import measures
from genspot.report.console import ends, percent
from genspot.report.runs import Run

Result = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: its key, its heading, and the text of its cell for one generator's figures."""

    key: str
    heading: str
    cell: Callable[[Result], str]


def share(key: str, heading: str) -> Column:
    """A fraction as a percentage."""
    return Column(key, heading, lambda one: percent(one.get(key)))


def signed(value: float | None) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def difference(one: Result) -> float | None:
    """AP minus the published AP, as a fraction."""
    figure = one.get("published")
    return None if not figure or one.get("ap") is None else one["ap"] - figure["ap"]


def published(key: str) -> Callable[[Result], str]:
    """The published figure, marked where it is unconfirmed."""

    def cell(one: Result) -> str:
        figure = one.get("published")
        if not figure or figure.get(key) is None:
            return "–"
        return percent(figure[key]) + (" (unconfirmed)" if figure.get("unconfirmed") else "")

    return cell


def images(one: Result) -> str:
    """How many images, and how many of them real and fake."""
    total = f"{one.get('images', 0)}"
    return total if "real" not in one else f"{total} ({one['real']} + {one['fake']})"


RANKING = (
    share("ap", "AP"),
    Column("ap_interval", "interval", ends),
    Column("published", "published AP", published("ap")),
    Column("difference", "difference", lambda one: signed(difference(one))),
    share("auroc", "AUROC"),
    share("tpr_at_1", "TPR at 1% FPR"),
    share("tpr_at_5", "TPR at 5% FPR"),
    share("trivial_ap", "trivial AP"),
    Column("images", "images (real + fake)", images),
)
DECIDING = (
    share("acc", "accuracy at 0.5"),
    share("acc_real", "on reals"),
    share("acc_fake", "on fakes"),
    Column("published_acc", "published accuracy", published("acc")),
    share("acc_fitted", "at the fitted threshold"),
    share("acc_best", "at the best threshold (oracle)"),
    share("ece", "ECE before temperature"),
    share("ece_scaled", "ECE after temperature"),
)
MEASURES = tuple(
    column.key
    for column in (*RANKING, *DECIDING)
    if column.key not in ("ap_interval", "published", "difference", "published_acc", "images")
)


def lines(run: Run) -> list[tuple[str, Result]]:
    """The generators of a run with their figures, the mean last."""
    return measures.lines(run.metrics)


def shown(run: Run, columns: Sequence[Column]) -> list[Column]:
    """Those of `columns` that do not stay empty."""
    results = [one for _, one in lines(run)]
    return [column for column in columns if any(column.cell(one) != "–" for one in results)]
