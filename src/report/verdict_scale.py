"""Places on the scales of the page of photos, in percent of their widths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genspot.evaluation.evidence import CANNOT_SAY, GRADES

LEAST = 0.0001  # the false-alarm rate at the end of the scale; lower ones are drawn there
FIRST_WIDTH = 34.0  # percent of the scale for the grade of the highest rates; the others share
MARGIN = 4.0  # percent of a curve's width that is left at each end


class Zone(NamedTuple):
    """The part of the scale that has one grade, from the rate `high` at its left to `low`."""

    grade: str
    left: float
    width: float
    high: float
    low: float

    def place(self, rate: float) -> float:
        """Return the place of a rate in the zone; the zone is logarithmic."""
        share = math.log(self.high / max(rate, self.low)) / math.log(self.high / self.low)
        return self.left + self.width * share


def _zones() -> tuple[Zone, ...]:
    names = sorted(GRADES, key=lambda name: -GRADES[name])
    lows = [*(GRADES[name] for name in names[1:]), LEAST]
    width = (100 - FIRST_WIDTH) / (len(names) - 1)
    lefts = [0.0, *(FIRST_WIDTH + width * place for place in range(len(names) - 1))]
    widths = [FIRST_WIDTH, *(width for _ in names[1:])]
    return tuple(
        Zone(name, left, wide, GRADES[name], low)
        for name, left, wide, low in zip(names, lefts, widths, lows, strict=True)
    )


ZONES = _zones()  # from the highest rates, at the left, to the lowest


def place_of_rate(rate: float) -> float:
    """Return the place of a false-alarm rate in (0, 1] on the scale, within the zone of its grade.

    A rate at a boundary belongs to the stronger grade.
    """
    return next(zone for zone in reversed(ZONES) if rate <= zone.high).place(rate)


class CurvePoint(NamedTuple):
    """One delivery on the curve of a detector.

    Attributes:
        delivery: its name.
        logit: None where there is no score; `decision` then says why.
        decision: the grade, or the verdict.
        changed: the decision is another one than that of the photo itself, and there are both.
        open: nothing can be said of the photo as delivered, which counts neither way.
        place: of the logit.
        before: where the line to the delivery before crosses the boundary of both; None: no line.
        after: the same for the delivery after.
    """

    delivery: str
    logit: float | None
    decision: str
    changed: bool
    open: bool
    place: float | None
    before: float | None
    after: float | None


class Curve(NamedTuple):
    """The logits of a photo as delivered.

    Attributes:
        own: the place of the photo's own logit.
        alarm: the place of the logit from which on the photo itself is an alarm, which may be
            another for its deliveries; None: not known.
        points: the deliveries.
    """

    own: float
    alarm: float | None
    points: Sequence[CurvePoint]


def curve(answer: Mapping[str, Any]) -> Curve:
    """Return the curve of a detector's answer that has deliveries."""
    rows = answer["deliveries"]["each"]
    logits = [answer["logit"], answer["threshold"], *(row["logit"] for row in rows)]
    logits = [logit for logit in logits if logit is not None]
    low, span = min(logits), max(logits) - min(logits)

    def place(logit: float | None) -> float | None:
        if logit is None:
            return None
        return MARGIN + (100 - 2 * MARGIN) * ((logit - low) / span if span else 0.5)

    places = [place(row["logit"]) for row in rows]
    halves = [_half(*pair) for pair in zip([None, *places], [*places, None], strict=True)]
    own = place(answer["logit"])
    assert own is not None
    points = [
        _point(answer, row, places[number], halves[number], halves[number + 1])
        for number, row in enumerate(rows)
    ]
    return Curve(own, place(answer["threshold"]), points)


def _half(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else (first + second) / 2


def _point(
    answer: Mapping[str, Any], row: Mapping[str, Any], place: float | None, *lines: float | None
) -> CurvePoint:
    kind = "grade" if row.get("grade") is not None else "verdict"
    decision = row.get(kind)
    is_open = place is not None and decision == CANNOT_SAY
    known = place is not None and CANNOT_SAY not in (decision, answer[kind])
    changed = known and decision != answer[kind]
    words = decision if place is not None else row["reason"]
    return CurvePoint(row["delivery"], row["logit"], str(words), changed, is_open, place, *lines)
