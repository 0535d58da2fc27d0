"""Predictions: a row of what is found for each photo and detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from genspot.evaluation import calibration
from genspot.evaluation.evidence import CANNOT_SAY, STRONG, Judgement

UNDECIDED = 1.0  # |logit| below which the verdict is "undecided"
VERDICTS = ("looks generated", "undecided", "no traces found")
ALARM, NO_ALARM = "alarm", "no alarm"
# Of predictions, in order. Those from `grade` to `reason` are there where there is a reference,
# `decision` where a false-alarm rate was asked for, the last two where a prior was given.
COLUMNS = (
    *("path", "logit", "probability", "verdict", "calibrated", "padded"),
    *("grade", "p_value", "references", "compared_with", "reason", "claims"),
    *("detector", "checkpoint", "crop", "protocol", "version", "threshold", "fpr", "decision"),
    *("prior", "likelihood_ratio"),
)


class Facts(NamedTuple):
    """What scored a photo.

    Attributes:
        detector: its name, of no other detector of the run.
        checkpoint: SHA-256 of its file, hexadecimal.
        crop: side in pixels of the central part that it scores; None: whole photos.
        protocol: what was done to the photo after it was decoded, in words.
        version: of genspot.
    """

    detector: str
    checkpoint: str
    crop: int | None
    protocol: str
    version: str


def verdict(logit: float) -> str:
    """Return a logit in plain words.

    Raises:
        ValueError: the logit is not finite.
    """
    if not math.isfinite(logit):
        raise ValueError(f"no verdict is made of the logit {logit}")
    if abs(logit) < UNDECIDED:
        return VERDICTS[1]
    return VERDICTS[0] if logit > 0 else VERDICTS[2]


def verdict_counts(logits: np.ndarray) -> list[int]:
    """Return how many of the logits have each of `VERDICTS`."""
    generated, real = logits >= UNDECIDED, logits <= -UNDECIDED
    return [int(kind.sum()) for kind in (generated, ~(generated | real), real)]


def is_graded(predictions: pa.Table) -> bool:
    """Return whether there was a reference."""
    return "grade" in predictions.column_names


def prediction_table(scores: pa.Table) -> pa.Table:
    """Return the predictions of a table of scores by one detector, the highest logit first.

    Returns:
        Columns path, logit, probability (sigmoid of the logit, in [0, 1]), verdict, calibrated
        (always false) and padded; where `scores` has them, those of `Judgement`; and threshold,
        the logit from which a photo is an alarm.
    """
    scores = scores.sort_by([("logit", "descending")])
    logits = scores["logit"].to_numpy().astype(np.float64)
    graded = {name: scores[name] for name in Judgement._fields if is_graded(scores)}
    return pa.table(
        {
            "path": scores["path"],
            "logit": logits,
            "probability": calibration.probabilities(logits),
            "verdict": pa.array(map(verdict, logits), pa.string()),
            "calibrated": pa.repeat(False, len(logits)),
            "padded": scores["padded"],
            "threshold": pa.repeat(UNDECIDED, len(logits)),
        }
        | graded
    )


def with_facts(predictions: pa.Table, facts: Facts, fpr: float | None = None) -> pa.Table:
    """Return predictions with what scored them, and what is an alarm.

    Args:
        predictions: of `prediction_table`.
        facts: of the detector.
        fpr: false-alarm rate of the thresholds, where the user asked for one.

    Returns:
        The columns of `Facts`; `fpr`, of the thresholds, null without a reference; and with `fpr`
        `decision`: "alarm", "no alarm" or "cannot say".
    """
    count = len(predictions)
    level = (STRONG if fpr is None else fpr) if is_graded(predictions) else None
    for name, value in (*facts._asdict().items(), ("fpr", level)):
        kind = {"crop": pa.int64(), "fpr": pa.float64()}.get(name, pa.string())
        predictions = predictions.append_column(name, pa.array([value] * count, kind))
    if fpr is not None:
        pairs = zip(
            predictions["logit"].to_pylist(), predictions["threshold"].to_pylist(), strict=True
        )
        found = [_decision(*pair) for pair in pairs]
        predictions = predictions.append_column("decision", pa.array(found, pa.string()))
    return in_order(predictions)


def _decision(logit: float, threshold: float | None) -> str:
    if threshold is None:
        return CANNOT_SAY
    return ALARM if logit >= threshold else NO_ALARM


def in_order(predictions: pa.Table) -> pa.Table:
    """Return predictions with their columns in the order of `COLUMNS`."""
    return predictions.select([name for name in COLUMNS if name in predictions.column_names])


def join_predictions(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the predictions of several detectors, the rows of a photo one after the other.

    The photos are in the order of the first table that has them. A column that one table lacks is
    null in its rows.
    """
    if len(tables) == 1:
        return tables[0]
    table = pa.concat_tables(tables, promote_options="default")
    order: dict[str, int] = {}
    for path in table["path"].to_pylist():
        order.setdefault(path, len(order))
    places = np.array([order[path] for path in table["path"].to_pylist()], np.int64)
    return in_order(table.take(np.argsort(places, kind="stable")))


def join_unreadable(tables: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """Return the photos that detectors could not score, each once for each reason.

    Args:
        tables: names of detectors, and tables with the columns path and reason.

    Returns:
        The columns path and reason, and of several detectors `detector`, their names.
    """
    if len(tables) == 1:
        return tables[0][1]
    names: dict[tuple[str, str], list[str]] = {}
    for name, table in tables:
        for row in table.to_pylist():
            names.setdefault((row["path"], row["reason"]), []).append(name)
    rows: list[dict[str, Any]] = [
        {"path": path, "reason": reason, "detector": ", ".join(found)}
        for (path, reason), found in names.items()
    ]
    schema = pa.schema([(name, pa.string()) for name in ("path", "reason", "detector")])
    return pa.Table.from_pylist(rows, schema=schema)
