"""What the page of photos says of grades, for readers who know no statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genspot.evaluation.evidence import CANNOT_SAY, grade

# What follows from a grade, or from the verdict of a detector without references.
MEANINGS = {
    "strong evidence": (
        "Real photos seldom score as high: at most 1 in 100 of those that this one was compared "
        "with. Treat it as a lead that calls for other evidence."
    ),
    "moderate evidence": (
        "Between 1 and 5 in 100 real photos like it score as high. That is unusual, and happens "
        "every day to somebody who checks many photos."
    ),
    "weak evidence": (
        "Between 5 and 10 in 100 real photos like it score as high. A false alarm is easily "
        "possible."
    ),
    "no evidence": (
        "More than 10 in 100 real photos like it score as high: nothing sets this photo apart "
        "from real ones. That does not show that it is real. Photos by a generator that the "
        "detector does not know get this answer as well."
    ),
    CANNOT_SAY: (
        "The detector was not tried on real photos like this one, so its score has no meaning "
        "here, in either direction."
    ),
}
UNGRADED = (
    "It is not known how often real photos score as high, so this is no evidence that can be "
    "relied on: the detector has no collection of real photos to compare with."
)
NOT_MEANT = (
    "The false-alarm rate is not the chance that the photo is real, and a rate of 1% does not "
    "make the photo 99% generated. Of 1,000 real photos like those that a detector was compared "
    "with, up to about 10 get “strong evidence” from it; of real photos from elsewhere it can be "
    "ten times as many.",
    "No answer says that a photo is real. Detectors miss generators that they do not know, and "
    "resizing or recompression can remove the traces that they look for.",
    "The answer is not about what the photo shows: a real one can be staged, edited, or from "
    "another place or time.",
)
# Keys of a detector's answer, and their names on the page.
NUMBERS = {
    "logit": "score (logit)",
    "p_value": "false-alarm rate (p-value)",
    "references": "real photos compared with",
    "compared_with": "which these are",
    "reason": "reason",
    "threshold": "score of an alarm",
    "fpr": "false-alarm rate of an alarm",
    "decision": "decision",
    "prior": "share of generated photos assumed",
    "likelihood_ratio": "likelihood ratio",
    "probability": "probability",
    "verdict": "verdict by a fixed score, uncalibrated",
    "crop": "central part that is scored, pixels a side",
    "padded": "smaller than that part",
    "protocol": "changed beforehand",
    "checkpoint": "file of the detector (SHA-256)",
    "version": "genspot",
}
SCORE = (
    "A detector gives a photo a score: the higher, the more it resembles the generated photos "
    "that the detector learned from."
)
SCALE = "The further right on the bar, the rarer so high a score is among real photos."
NO_CLAIMS = "The file says nothing of its origin. That is common, and speaks for neither side."


def heading(answer: Mapping[str, Any]) -> str:
    """Return the grade of a detector's answer in a few words; without a grade, its verdict."""
    if answer["grade"] is None:
        return f"{answer['verdict']} (uncalibrated)"
    return answer["grade"] if answer["grade"] == CANNOT_SAY else f"{answer['grade']} of generation"


def badge(answer: Mapping[str, Any]) -> str:
    """Return the class of the style sheet for a detector's answer."""
    return "ungraded" if answer["grade"] is None else str(answer["grade"]).partition(" ")[0]


def is_graded(answer: Mapping[str, Any]) -> bool:
    """Return whether a detector knows how often real photos score as high as this one."""
    return any(one["p_value"] is not None for one in answer["detectors"])


def short_name(path: str) -> str:
    """Return the name of a file without its folders."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or path


def meanings(answers: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return each different grade of the detectors' answers and what it means, in their order."""
    grades = dict.fromkeys(one["grade"] for one in answers)
    return [(one or "without a grade", MEANINGS.get(one, UNGRADED)) for one in grades]


def together(combined: Mapping[str, Any]) -> str:
    """Return what the false-alarm rates of several detectors say together, in a sentence."""
    return (
        f"Together: {combined['grade']}, at a false-alarm rate of {percent(combined['p_value'])}: "
        f"the lowest of {combined['detectors']} rates times {combined['detectors']}."
    )


def percent(share: float) -> str:
    """Return a share in (0, 1] in percent.

    With one decimal, and more where that would be 0% or 100%, or a rate of another grade.
    """
    if share < 0.001:
        return f"{100 * share:.1g}%"
    if 0.999 < share < 1:
        return f"{100 - float(f'{100 * (1 - share):.1g}'):.12g}%"
    texts = [f"{share:.{decimals}%}" for decimals in range(1, 9)]
    same = (text for text in texts if grade(float(text[:-1]) / 100) == grade(share))
    return next(same, texts[0])


def setting(share: float) -> str:
    """Return a share that the user gave in percent, as it was given."""
    return f"{100 * share:.6g}%"


def comparison(answer: Mapping[str, Any]) -> str:
    """Return with which real photos a photo was compared, or why it was not."""
    if answer["grade"] is None:
        return "Not known: this detector has no collection of real photos to compare with."
    if answer["p_value"] is None:
        return f"Why: {answer['reason']}."
    count, total = round(answer["p_value"] * (answer["references"] + 1)) - 1, answer["references"]
    found = f"{count:,}" if count else "None"
    return (
        f"{found} of {total:,} real photos of its kind ({answer['compared_with']}) "
        f"{'scores' if count < 2 else 'score'} as high or higher. With this photo counted among "
        f"them, that is a false-alarm rate of {percent(answer['p_value'])}."
    )


def seen(share: tuple[float, float]) -> str:
    """Return which part of a photo a detector sees, of the shares of its width and height."""
    area = share[0] * share[1]
    if area >= 1:
        return "It looked at the whole photo."
    part = f"{area:.0%}" if area >= 0.01 else "less than 1%"
    return f"It looked only at the framed part of the photo, {part} of it."


def frames(pictures: Any) -> list[tuple[float, float]]:
    """Return the different parts of a photo that detectors see, without the whole photo."""
    return [one for one in dict.fromkeys(pictures.seen.values()) if min(one) < 1]


def odds(ratio: float) -> str:
    """Return a likelihood ratio in a sentence."""
    return (
        f"Such a score is {ratio:.3g} times as likely for a generated photo of the test as for a "
        "real one."
    )


def _cell(answer: Mapping[str, Any], key: str) -> str:
    value = answer[key]
    if value is None or value == "":
        return ""
    if key in ("fpr", "prior"):
        return setting(value)
    if key == "p_value":
        return percent(value)
    if key == "probability":
        return f"{value:.4f} ({'calibrated' if answer['calibrated'] else 'uncalibrated'})"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def numbers(answers: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return name and values of each number of the detectors' answers that one of them has."""
    rows = [(title, [_cell(one, key) for one in answers]) for key, title in NUMBERS.items()]
    return [(title, cells) for title, cells in rows if any(cells)]
