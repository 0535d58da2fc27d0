"""Means kept apart: over generators that a detector was trained on, and over others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from genspot.evaluation.intervals import ap_intervals, ap_over_seeds
from genspot.evaluation.metrics import complete_generators, mean_metrics, mean_or_none
from genspot.evaluation.published import mean_figures
from genspot.evaluation.results import MeanMetrics


def means_apart(
    results: Mapping[str, Any],
    scores: pa.Table,
    seen: Mapping[str, bool | None],
    confidence: float,
    real_sets: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, MeanMetrics]:
    """Return the means over the "seen" and over the "unseen" generators with both classes.

    Args:
        results: an `Evaluation`, with published figures and the shortcut baseline.
        scores: the table that it is of.
        seen: generator → whether the detector was trained on it. Those with None, and those that
            are missing, have no part in either mean.
        confidence, real_sets, clusters: see `intervals.ap_intervals`.

    Returns:
        {} unless there are generators of both kinds.
    """
    complete = complete_generators(results["generators"])
    groups = {
        key: {name: figures for name, figures in complete.items() if seen.get(name) is value}
        for key, value in (("seen", True), ("unseen", False))
    }
    if not all(groups.values()):
        return {}
    means: dict[str, Any] = {}
    for key, group in groups.items():
        part = of_generators(scores, group)
        found = ap_intervals(part, confidence, real_sets, clusters)["mean"]
        shortcut = [figures.get("shortcut_baseline_ap") for figures in group.values()]
        means[key] = {
            **mean_metrics(group, found),
            **mean_figures([*group.values()]),
            "shortcut_baseline_ap": mean_or_none(shortcut),
        }
    return means


def of_generators(scores: pa.Table, names: Collection[str]) -> pa.Table:
    """Return the rows of a table of scores that belong to some generators."""
    column = scores["generator"].cast(pa.string())
    return scores.filter(pc.is_in(column, value_set=pa.array(list(names), pa.string())))


def mean_over_trainings(
    parts: Mapping[str, Sequence[pa.Table]],
    confidence: float,
    real_sets: Mapping[str, str] | None = None,
    clusters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the AP of each generator over the trainings that scored it, and their mean.

    Each generator has trainings of its own, such as those that left it out. The mean has no
    interval where generators have different numbers of them.

    Args:
        parts: generator → the scores of each of its trainings.
        confidence, real_sets, clusters: see `intervals.ap_intervals`.

    Returns:
        As `intervals.ap_over_seeds`.
    """
    settings = confidence, real_sets, clusters
    generators: dict[str, Any] = {}
    for name, tables in parts.items():
        found = ap_over_seeds([of_generators(table, [name]) for table in tables], *settings)
        generators |= found["generators"]
    mean = {
        "generators": len(generators),
        "ap": mean_or_none(figures["ap"] for figures in generators.values()),
        "interval": None,
        "images": sum(figures["images"] for figures in generators.values()),
    }
    if len({len(tables) for tables in parts.values()}) == 1:
        # One training of each generator makes a table: the mean is over independent such tables.
        rounds = zip(*parts.values(), strict=True)
        joined = [
            pa.concat_tables(
                of_generators(table, [name]) for name, table in zip(parts, tables, strict=True)
            )
            for tables in rounds
        ]
        mean = ap_over_seeds(joined, *settings)["mean"]
    return {"generators": generators, "mean": mean}
