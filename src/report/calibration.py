"""Calibration on generators that the fit did not see, in a table and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genspot.report.sections.words import Table, listing
from genspot.report.tables import ABSENT, format_decimal, format_percent

COLUMNS = {
    "ece": ("ECE", format_percent),
    "brier": ("Brier score", format_percent),
    "log_loss": ("log loss (nats)", format_decimal),
}
CAPTION = (
    "Calibration on generators that the fit did not see. Before: sigmoid(logit). After: Platt's "
    "scaling, fitted on the test images of all other generators, at the generator's own share of "
    "fakes. ECE and Brier score in percent. A constant 0.5, which says nothing, has a Brier score "
    "of 25 and a log loss of 0.693; of few images, the ECE is above 0 by chance."
)
HEADING = [
    *("generator", "images of the fit"),
    *(f"{name} {stage}" for name, _ in COLUMNS.values() for stage in ("before", "after")),
]


def calibration_table(metrics: Mapping[str, Any]) -> Table | None:
    """Return the figures of `results.Calibration`, a row for each generator and the mean last.

    None where a run has none: fewer than two generators, or an older run.
    """
    found = metrics.get("calibration")
    if not found:
        return None
    rows = [_row(name, one, _images(one)) for name, one in found["generators"].items()]
    rows.append(_row("mean", found["mean"], ""))
    shared = [name for name, one in found["generators"].items() if one["shares_reals"]]
    caption = CAPTION
    if shared:
        names = listing(shared)
        caption += f" The fit for {names} saw real images of the same set, and none of its fakes."
    return Table(caption, HEADING, rows)


def calibration_notes(metrics: Mapping[str, Any]) -> list[str]:
    """Return the means of `calibration_table` in a sentence, and which fits failed."""
    found = metrics.get("calibration")
    if not found:
        return []
    entries = found["generators"]
    lines = []
    if found["mean"]["after"]:
        means = ", ".join(
            f"{name} {form(found['mean']['before'][key])} → {form(found['mean']['after'][key])}"
            for key, (name, form) in COLUMNS.items()
        )
        worse = [
            name for name, one in entries.items() if one["after"]["ece"] > one["before"]["ece"]
        ]
        lines.append(
            "Each generator, calibrated on the others by Platt's scaling: on average "
            f"{means}; the ECE grew on {len(worse)} of {len(entries)}"
            f"{f' ({listing(worse)})' if worse else ''}. A constant 0.5 has a Brier score of 25 "
            "and a log loss of 0.693."
        )
    faults = {name: one["fault"] for name, one in entries.items() if one["fault"]}
    lines += [
        f"No calibration of {name} on the others, which is no error: {fault}."
        for name, fault in faults.items()
    ]
    return lines


def _images(entry: Mapping[str, Any]) -> str:
    return ABSENT if entry["fault"] else f"{entry['real']} + {entry['fake']}"


def _row(name: str, entry: Mapping[str, Any], images: str) -> list[str]:
    cells = [
        form((entry[stage] or {}).get(key))
        for key, (_, form) in COLUMNS.items()
        for stage in ("before", "after")
    ]
    return [name, images, *cells]
