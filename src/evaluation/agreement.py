"""Whether several detectors agree on a photo, and how rare what they find together is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genspot.evaluation.evidence import CANNOT_SAY, GRADES

# What a detector finds in a photo.
EVIDENCE, NO_EVIDENCE, OPEN = "evidence", "no evidence", "open"


def finding(grade: str) -> str:
    """Return what a grade says, in one of the three words."""
    if grade == CANNOT_SAY:
        return OPEN
    return NO_EVIDENCE if grade == [*GRADES][-1] else EVIDENCE


def describe_agreement(findings: Mapping[str, str]) -> str:
    """Return in a sentence whether detectors agree.

    Args:
        findings: name of the detector → what it finds; two or more.
    """
    found, none, unknown = (
        [name for name, one in findings.items() if one == kind]
        for kind in (EVIDENCE, NO_EVIDENCE, OPEN)
    )
    rest = f"; {join(unknown)} cannot say" if unknown else ""
    if found and none:
        return (
            f"The detectors disagree: {join(found)} {_verb(found, 'find')} evidence of "
            f"generation, {join(none)} {_verb(none, 'find')} none{rest}."
        )
    if not unknown:
        what = "evidence of generation" if found else "no evidence of generation"
        return f"The {len(findings)} detectors agree: each finds {what}."
    if not found and not none:
        return f"None of the {len(findings)} detectors can say anything about this photo."
    what = "evidence" if found else "no evidence"
    some = found or none
    return f"{join(some)} {_verb(some, 'find')} {what} of generation{rest}."


def joint_p_value(p_values: Sequence[float]) -> float:
    """Return min(1, K × the least) of K p-values of one photo (Bonferroni).

    It is at or below a with a probability of at most a, however the p-values depend on each other.

    Args:
        p_values: one or more, in (0, 1].
    """
    return min(1.0, len(p_values) * min(p_values))


def join(names: Sequence[str]) -> str:
    """Return names as a list in words: "a", "a and b", "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _verb(subjects: Sequence[str], verb: str) -> str:
    return verb if len(subjects) > 1 else f"{verb}s"
