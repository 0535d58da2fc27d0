"""What an audit has found, and what it says of each set of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from genspot.evaluation.duplicates import Pairs
from genspot.evaluation.overlaps import LEAKS, SPLITS, ImageSet, Overlap
from genspot.evaluation.shortcuts import ALL, MIN_GROUPS, Judgement, Trait
from genspot.report.sections.words import listing
from genspot.report.tables import format_percent

Verdict = Judgement | Literal["not judged"]
ORDER: tuple[Verdict, ...] = ("decisive", "slight", "not judged", "none")
TOGETHER = "No single trait tells real from fake, but all traits together do"
FEW = 100  # images of a class, below which the page says so where it finds nothing
LOOK = "Look at the pictures, and find out how the images of each class were made and processed."
MAYBE_NO_FAULT = "which may be the generator's own work"
MAX_NAMED = 3  # sets in a title
VERDICTS: dict[Verdict, str] = {
    "decisive": "Not fit to be trusted as it is",
    "slight": "To be read with care",
    "not judged": "Not judged",
    "none": "Nothing found against it",
}


@dataclass(frozen=True)
class AuditedSet:
    """One set of images: a test set, the training set or the validation set."""

    where: ImageSet
    place: str  # where its images lie
    rows: np.ndarray  # of its readable images in the table of probes
    reals: int  # readable
    fakes: int
    unreadable: int  # with the files that were left out
    traits: Sequence[Trait]  # none of a set of one class, or of few images
    overlaps: Sequence[Overlap]

    @property
    def title(self) -> str:
        """Its name, with the split unless it is a test set."""
        name, split = self.where
        return name if split == "test" else f"{name} ({SPLITS[split]} set)"

    @property
    def judgement(self) -> Verdict:
        """The verdict on the set.

        It is the worst of its traits and overlaps, but a trait that the generator itself may
        cause is no more than "slight" here. So are all traits together, which contain those.
        A set without traits is "not judged", unless its overlaps are worse.
        """
        found: list[Verdict] = [one.judgement for one in self.overlaps]
        if not self.traits:
            found.append("not judged")
        for trait in self.traits:
            mild = trait.judgement == "decisive" and (trait.content or trait.name == ALL)
            found.append("slight" if mild else trait.judgement)
        return min(found, key=ORDER.index, default="none")

    @property
    def faults(self) -> list[Trait]:
        """The traits that are not judged "none": first those that no generator causes.

        All traits together are one of them only where no single trait is.
        """
        found = [trait for trait in self.traits if trait.judgement != "none"]
        single = [trait for trait in found if trait.name != ALL]
        return sorted(
            single or found, key=lambda one: (one.content, ORDER.index(one.judgement), -one.ap)
        )

    @property
    def shortcut(self) -> bool:
        """Whether a detector can do well here without any trace of a generator."""
        leaks = [one.judgement for one in self.overlaps if one.rule in LEAKS.values()]
        single = [one for one in self.traits if not (one.content or one.name == ALL)]
        return "decisive" in [*leaks, *(one.judgement for one in single)]

    @property
    def bad_overlaps(self) -> list[Overlap]:
        """The overlaps that are not judged "none"."""
        found = [one for one in self.overlaps if one.judgement != "none"]
        return sorted(found, key=lambda one: ORDER.index(one.judgement))


@dataclass(frozen=True)
class Audit:
    """An audit of several sets."""

    sets: Sequence[AuditedSet]
    paths: pa.ChunkedArray  # of the images, N
    labels: np.ndarray  # N: 0 real, 1 fake
    set_of: np.ndarray  # place in `sets`, N
    probes: pa.Table  # a row for each of the N images
    pairs: Pairs
    confidence: float  # of the intervals
    facts: dict[str, Any]  # how it was made: command, seed, versions

    @property
    def title(self) -> str:
        """Of the page."""
        names = [one.title for one in self.sets]
        shown = listing(names) if len(names) <= MAX_NAMED else f"{len(names)} sets of images"
        return f"Audit of {shown}"

    def judged(self, judgement: Verdict) -> list[AuditedSet]:
        """Return the sets with this verdict."""
        return [one for one in self.sets if one.judgement == judgement]


def sentence(text: str) -> str:
    """Return `text` with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""


def headline(audit: Audit) -> str:
    """Return the verdict on all sets."""
    decisive, slight, unjudged, clean = (
        [one.title for one in audit.judged(judgement)] for judgement in ORDER
    )
    if not (decisive or slight or unjudged):
        sets = "this set" if len(clean) == 1 else f"these {len(clean)} sets"
        return f"Nothing was found against {sets}."
    parts = []
    if decisive:
        pronoun = "it is" if len(decisive) == 1 else "they are"
        why = ""
        if all(one.shortcut for one in audit.judged("decisive")):
            why = ": a detector can do well there without any trace of a generator"
        parts.append(f"Do not trust results with {listing(decisive)} as {pronoun}{why}.")
    if slight:
        parts.append(f"Read results with {listing(slight)} with care.")
    if unjudged:
        parts.append(f"Not judged: {listing(unjudged)}.")
    if clean:
        parts.append(f"Nothing was found against {listing(clean)}.")
    return " ".join(parts)


def short_reason(one: AuditedSet) -> str:
    """Return what a set's verdict rests on, in a few sentences; "" for nothing."""
    if one.faults and one.faults[0].name == ALL:
        texts = [f"{TOGETHER} (AP {format_percent(one.faults[0].ap)})."]
    else:
        texts = []
        for kind, words, end in (
            ("decisive", "are told apart by", ""),
            ("slight", "differ in part in", ""),
            ("content", "differ in", f", {MAYBE_NO_FAULT}"),
        ):
            traits = [trait for trait in one.faults if _kind(trait) == kind]
            if traits:
                names = listing(f"{each.name} (AP {format_percent(each.ap)})" for each in traits)
                also = " also" if texts else ""
                texts.append(f"Real and fake{also} {words} {names}{end}.")
                if kind == "decisive":
                    texts.append(describe(traits[0]))
    if one.traits and one.judgement == "none" and min(one.reals, one.fakes) < FEW:
        texts.append("With so few images, only large differences show.")
    return " ".join([*texts, *(overlap.text for overlap in one.bad_overlaps)])


def describe(trait: Trait) -> str:
    """Return what differs."""
    return f"{TOGETHER}." if trait.name == ALL else sentence(trait.text)


def fix_of(trait: Trait) -> str:
    """Return what to do about a trait."""
    return LOOK if trait.name == ALL else sentence(trait.fix)


def what_to_do(one: AuditedSet) -> list[str]:
    """Return what to do about a set: about its traits, but those of the content, and overlaps."""
    fixes = [fix_of(trait) for trait in one.faults if not trait.content]
    return list(dict.fromkeys([*fixes, *(overlap.fix for overlap in one.bad_overlaps)]))


def _kind(trait: Trait) -> str:
    return "content" if trait.content else trait.judgement


def why_not_judged(one: AuditedSet) -> str:
    """Return why the classes of a set were not compared; "" if they were."""
    if one.traits:
        return ""
    if not (one.reals or one.fakes):
        return "None of its images could be read."
    if one.reals and one.fakes:
        return (
            f"A class has fewer than {MIN_GROUPS} different images, which prove nothing. "
            "Duplicates were looked for."
        )
    return (
        f"This set has {'real images' if one.reals else 'fakes'} alone: there are no two classes "
        "to tell apart. Duplicates were looked for."
    )
