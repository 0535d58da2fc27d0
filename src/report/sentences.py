"""What is found of a photo in plain sentences, for readers who know no statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genspot.evaluation.agreement import EVIDENCE, NO_EVIDENCE, OPEN, finding, join
from genspot.evaluation.evidence import CANNOT_SAY
from genspot.report.predictions import ALARM, VERDICTS
from genspot.report.verdict_words import percent, setting

NOT_REAL = "This does not show that it is real."
NO_REFERENCE = "How often real photos get this answer is not known: the detector has no reference."
OF_VERDICTS = {
    VERDICTS[0]: "This photo looks generated to the detector.",
    VERDICTS[1]: "The detector is undecided about this photo.",
    VERDICTS[2]: f"The detector finds no traces of generation in this photo. {NOT_REAL}",
}
FINDINGS = dict(zip(VERDICTS, (EVIDENCE, OPEN, NO_EVIDENCE), strict=True))

Answer = Mapping[str, Any]  # of one detector, see `genspot.report.answers`


def describe(detectors: Sequence[Answer]) -> str:
    """Return what one or several detectors find in a photo, in one or a few sentences."""
    text = _of_one(detectors[0]) if len(detectors) == 1 else _of_several(detectors)
    return " ".join([text, *_decisions(detectors), *_probabilities(detectors)])


def find(detector: Answer) -> str:
    """Return what a detector finds, one of the words of `genspot.evaluation.agreement`."""
    if detector["grade"] is None:
        return FINDINGS[detector["verdict"]]
    return finding(detector["grade"])


def uncalibrated(names: Sequence[str]) -> str:
    """Return of which detectors it is not known how often they are wrong about real photos."""
    return f"How often {join(names)} would say this of real photos is not known."


def describe_unreadable(reason: str) -> str:
    """Return that a photo has no score, and why."""
    return f"This photo could not be scored: {reason}."


def _of_one(detector: Answer) -> str:
    grade = detector["grade"]
    if grade is None:
        return f"{OF_VERDICTS[detector['verdict']]} {NO_REFERENCE}"
    if grade == CANNOT_SAY:
        return f"Cannot say whether this photo was generated: {detector['reason']}."
    text = (
        f"{grade.capitalize()} that this photo was generated: of real photos like it, about "
        f"{percent(detector['p_value'])} score as high."
    )
    return f"{text} {NOT_REAL}" if find(detector) == NO_EVIDENCE else text


def _of_several(detectors: Sequence[Answer]) -> str:
    parts = [f"{one['detector']}: {one['grade'] or _ungraded(one)}" for one in detectors]
    text = f"Is this photo generated? {'; '.join(parts)}."
    return text if any(find(one) == EVIDENCE for one in detectors) else f"{text} {NOT_REAL}"


def _ungraded(detector: Answer) -> str:
    return f"{detector['verdict']} (no reference)"


def _decisions(detectors: Sequence[Answer]) -> list[str]:
    """Return at most one sentence: which detectors raise an alarm at the rate that was asked."""
    if detectors[0]["decision"] is None:
        return []
    rate = f"at a false-alarm rate of {setting(detectors[0]['fpr'])}"
    if len(detectors) == 1:
        return [f"Decision {rate}: {detectors[0]['decision']}."]
    alarms = [one["detector"] for one in detectors if one["decision"] == ALARM]
    return [f"Alarm {rate} each: {join(alarms) if alarms else 'of no detector'}."]


def _probabilities(detectors: Sequence[Answer]) -> list[str]:
    """Return at most one sentence: the probabilities, where a prior was given."""
    known = [one for one in detectors if one["prior"] is not None and one["calibrated"]]
    if not known:
        return []
    parts = [percent(one["probability"]) for one in known]
    if len(detectors) > 1:
        parts = [f"{part} by {one['detector']}" for part, one in zip(parts, known, strict=True)]
    return [
        f"If {setting(known[0]['prior'])} of such photos are generated, this one is with a "
        f"probability of {join(parts)}."
    ]
