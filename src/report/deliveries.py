"""How the logits of photos move when the photos are delivered: a table and its lines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from genspot.common.run_files import DELIVERIES
from genspot.evaluation.evidence import CANNOT_SAY
from genspot.evaluation.sensitivity import Sensitivity, sensitivity
from genspot.report.console import is_terminal, print_line, print_path, print_table
from genspot.report.prediction_lines import MAX_ROWS, TOP
from genspot.report.predictions import verdict

NOTES = {
    "verdict": (
        "Each photo was also scored as {count} services and devices deliver it. Stable: each "
        "delivery keeps the verdict of the photo itself; mostly stable: three quarters do; "
        "unstable: fewer."
    ),
    "grade": (
        "Each photo was also scored as {count} services and devices deliver it, and each delivery "
        "is compared with the reference photos like it. Stable: each delivery that has a grade "
        "keeps the grade of the photo itself; mostly stable: three quarters do; unstable: fewer; "
        "not known: fewer than half have a grade."
    ),
}
SCHEMA = pa.schema(
    [
        ("path", pa.large_string()),
        ("delivery", pa.string()),
        ("logit", pa.float64()),
        ("change", pa.float64()),  # of the logit against the photo's own
        ("verdict", pa.string()),
        ("padded", pa.bool_()),  # the delivered photo is smaller than the crop
        ("reason", pa.string()),  # why there is no logit, or no grade
        ("grade", pa.string()),
        ("p_value", pa.float64()),
    ]
)
OF_GRADES = ("grade", "p_value")


def delivery_table(
    photos: pa.Table, names: Sequence[str], scores: pa.Table, unreadable: pa.Table
) -> pa.Table:
    """Return a row for each delivery of each photo, in the order of both.

    Args:
        photos: with the columns path and logit.
        names: of the deliveries.
        scores: with the columns path, generator (the delivery), logit and padded (the delivered
            photo is smaller than the crop), and of graded ones those of `evidence.Judgement`.
        unreadable: with the columns path, generator and reason, of deliveries without a score.

    Returns:
        The columns of `SCHEMA`; without grades, not the last two. Of a row without a finite
        logit, all but path, delivery and reason are empty.
    """
    graded = "grade" in scores.column_names
    scored = dict(zip(_keys(scores), scores.to_pylist(), strict=True))
    reasons = dict(zip(_keys(unreadable), unreadable["reason"].to_pylist(), strict=True))
    rows: list[dict[str, Any]] = []
    for path, own in _pairs(photos, "path", "logit"):
        for name in names:
            found = scored.get((path, name), {"logit": None})
            row = {"path": path, "delivery": name}
            if found["logit"] is None or not math.isfinite(found["logit"]):
                reason = reasons.get((path, name), f"logit {found['logit']}")
                rows.append(row | {"reason": reason})
                continue
            logit = found["logit"]
            row |= {"logit": logit, "change": logit - own, "verdict": verdict(logit)}
            row |= {"padded": found["padded"], "reason": found.get("reason") or None}
            rows.append(row | {key: found.get(key) for key in OF_GRADES})
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    return table if graded else table.drop_columns(list(OF_GRADES))


def movement(photo: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]]) -> Sensitivity:
    """Return how the logit of a photo moves over its deliveries.

    What is kept or not is the grade where the photo has one, else the verdict.

    Args:
        photo: a row of predictions.
        deliveries: its rows of `delivery_table`, of the same detector.

    Raises:
        ValueError: no delivery has a logit.
    """
    key = decided_by(photo)
    scored = [row for row in deliveries if row["logit"] is not None]
    made = [row.get(key) for row in (photo, *scored)]
    own, *others = [None if one == CANNOT_SAY else one for one in made]
    return sensitivity(own, [row["logit"] for row in scored], others)


def decided_by(photo: Mapping[str, Any]) -> str:
    """Return what decides on a photo of predictions: "grade" or "verdict"."""
    return "verdict" if photo.get("grade") is None else "grade"


def _pairs(table: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def _keys(table: pa.Table) -> list[tuple[Any, ...]]:
    return _pairs(table, "path", "generator")


def print_deliveries(
    photos: pa.Table, deliveries: pa.Table, folder: Path, quiet: bool = False
) -> None:
    """Print a line for each photo and detector, what its words mean, and where the table is.

    Args:
        photos: predictions, with the columns path, logit and verdict, grade where there are
            grades, and of several detectors `detector`.
        deliveries: of the same photos, from `delivery_table`, with `detector` if `photos` has it.
        folder: of the run, with deliveries.csv.
        quiet: print only where the file is.
    """
    if not quiet:
        of_photo: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        for row in deliveries.to_pylist():
            of_photo[row["path"], row.get("detector")].append(row)
        several = len({row[1] for row in of_photo}) > 1
        shown = photos.slice(0, TOP if is_terminal() and len(photos) > MAX_ROWS else None)
        rows = shown.to_pylist()
        names = ("detector",) if several else ()
        keys = sorted({decided_by(row) for row in rows}, reverse=True)
        kept = f"keep the {' or '.join(keys)}"
        print_table(
            ("image", *names, "logit", "as delivered", kept, "sensitivity"),
            [
                (
                    row["path"],
                    *(row[name] for name in names),
                    *_cells(row, of_photo[row["path"], row.get("detector")]),
                )
                for row in rows
            ],
        )
        for key in keys:
            print_line(NOTES[key].format(count=len(set(deliveries["delivery"].to_pylist()))))
        if missing := deliveries["logit"].null_count:
            print_line(
                f"{missing} of {len(deliveries)} deliveries have no score; {DELIVERIES} says why."
            )
    print_path("deliveries", folder / DELIVERIES)


def _cells(photo: dict[str, Any], deliveries: list[dict[str, Any]]) -> tuple[str, ...]:
    own = f"{photo['logit']:.2f}"
    if all(row["logit"] is None for row in deliveries):
        return own, "–", "–", "not known"
    found = movement(photo, deliveries)
    kept = f"{found.kept} of {found.total}" if found.total else "–"
    return own, f"{found.low:.2f} to {found.high:.2f}", kept, found.word
