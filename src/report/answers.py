"""Answers: all that is found of a photo, as plain values for JSON, pages and servers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

import genspot
from genspot.common import claims as origin
from genspot.common.claims import FileClaims
from genspot.evaluation.agreement import describe_agreement, joint_p_value
from genspot.evaluation.evidence import CANNOT_SAY, grade
from genspot.report.claims import MAX_LINES
from genspot.report.console import print_line
from genspot.report.deliveries import movement
from genspot.report.prediction_lines import limits
from genspot.report.predictions import ALARM, NO_ALARM
from genspot.report.sentences import describe, describe_unreadable, find, uncalibrated
from genspot.report.verdict_words import percent

SCHEMA = 1  # version of the form of the document
# Of a detector's answer, columns of its row of predictions. Null where the row has none.
OF_DETECTOR = (
    *("detector", "checkpoint", "version", "crop", "protocol", "logit", "probability"),
    *("calibrated", "verdict", "grade", "p_value", "references", "compared_with", "reason"),
    *("threshold", "fpr", "decision", "likelihood_ratio", "prior", "padded"),
)
OF_DELIVERIES = ("word", "low", "high", "kept", "total")  # null without a score of one

Answer = dict[str, Any]


def make_answers(
    predictions: pa.Table,
    claims: Sequence[FileClaims],
    unreadable: pa.Table,
    deliveries: pa.Table | None,
    combine: bool = False,
) -> list[Answer]:
    """Return an answer for each photo: those with a score in their order, then the others.

    Args:
        predictions: a row for each photo and detector; see `genspot.report.predictions.COLUMNS`.
        claims: of the photos.
        unreadable: with the columns path and reason, and of several detectors `detector`.
        deliveries: see `delivery_table`; None where none were scored.
        combine: whether the false-alarm rates of several detectors are joined into one.

    Returns:
        The keys are photo, sentence, agreement, combined, claims, detectors and unreadable;
        docs/predict.md describes them. What is not known is None.
    """
    rows, delivered = defaultdict(list), defaultdict(list)
    for row in predictions.to_pylist():
        rows[row["path"]].append(row)
    for row in deliveries.to_pylist() if deliveries is not None else ():
        delivered[row["path"], row.get("detector")].append(row)
    reasons = defaultdict(list)
    for row in unreadable.to_pylist():
        of = f"{row['detector']}: " if row.get("detector") else ""
        reasons[row["path"]].append(f"{of}{row['reason']}")
    known = {one.path: one for one in claims}
    answers = []
    for path in dict.fromkeys([*rows, *reasons]):
        found = [
            _of_detector(row, delivered.get((path, row.get("detector")))) for row in rows[path]
        ]
        reason = "; ".join(reasons[path]) or None
        answers.append(_answer(path, found, known.get(path), reason, combine))
    return answers


def _answer(
    path: str, found: list[Answer], claims: FileClaims | None, reason: str | None, combine: bool
) -> Answer:
    several = len(found) > 1
    return {
        "photo": path,
        "sentence": describe(found) if found else describe_unreadable(str(reason)),
        "agreement": _agreement(found) if several else None,
        "combined": _combined(found) if several and combine else None,
        "claims": {
            "claims": [vars(claim) for claim in claims.claims] if claims else [],
            "notes": [*claims.notes] if claims else [],
        },
        "detectors": found,
        "unreadable": reason,
    }


def _of_detector(row: Answer, delivered: list[Answer] | None) -> Answer:
    found = {key: row.get(key) for key in OF_DETECTOR}
    for key in ("compared_with", "reason"):  # empty texts of tables
        found[key] = found[key] or None
    return found | {"deliveries": _deliveries(row, delivered) if delivered else None}


def _deliveries(photo: Answer, rows: list[Answer]) -> Answer:
    """Return how the logit of a photo moves over its deliveries."""
    keys = [key for key in ("delivery", "logit", "grade", "verdict", "reason") if key in rows[0]]
    scored = any(row["logit"] is not None for row in rows)
    moved = movement(photo, rows) if scored else None
    found = {key: getattr(moved, key, None) for key in OF_DELIVERIES}
    return found | {"each": [{key: row[key] for key in keys} for row in rows]}


def _agreement(found: list[Answer]) -> str:
    text = describe_agreement({one["detector"]: find(one) for one in found})
    ungraded = [one["detector"] for one in found if one["grade"] is None]
    return f"{text} {uncalibrated(ungraded)}" if ungraded else text


def _combined(found: list[Answer]) -> Answer | None:
    """Return what the false-alarm rates of several detectors say together; None without any."""
    known = [one for one in found if one["p_value"] is not None]
    if not known:
        return None
    p_value = joint_p_value([one["p_value"] for one in known])
    decision, fpr = None, known[0]["fpr"]
    if known[0]["decision"] is not None:
        least = len(known) / (1 + max(one["references"] for one in known))
        decision = ALARM if p_value <= fpr else NO_ALARM if least <= fpr else CANNOT_SAY
    return {
        "grade": grade(p_value),
        "p_value": p_value,
        "detectors": len(known),
        "decision": decision,
    }


def make_document(answers: list[Answer], notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON document of answers.

    Args:
        answers: of `make_answers`.
        notes: what else a reader must know, such as `prior_notes`; the last of `about`, which
            has the limits that hold for all answers.
    """
    found = [one for answer in answers for one in answer["detectors"]]
    graded, calibrated = (any(one[key] for one in found) for key in ("grade", "calibrated"))
    return {
        "genspot": genspot.__version__,
        "schema": SCHEMA,
        "about": [limits(graded, calibrated), origin.ABOUT, *notes],
        "photos": answers,
    }


def is_alarm(answer: Answer) -> bool:
    """Return whether a photo is an alarm: of all detectors together if joined, else of any."""
    if answer["combined"]:
        return bool(answer["combined"]["decision"] == ALARM)
    return any(one["decision"] == ALARM for one in answer["detectors"])


def print_sentences(answers: Sequence[Answer]) -> None:
    """Print what is found of each photo, if they are few."""
    for answer in answers if len(answers) <= MAX_LINES else ():
        print_line(f"{answer['photo']}: {answer['sentence']}")
        if answer["agreement"]:
            print_line(answer["agreement"])
        if joined := answer["combined"]:
            print_line(
                f"Together: {joined['grade']}, {percent(joined['p_value'])}: the lowest of "
                f"{joined['detectors']} false-alarm rates times {joined['detectors']}."
            )
