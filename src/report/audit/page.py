"""The page of an audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from genspot.evaluation.duplicates import KINDS
from genspot.evaluation.overlaps import SAME_SCENE, SPLITS
from genspot.evaluation.shortcuts import Trait
from genspot.report.audit import method
from genspot.report.audit.copies import copy_panels
from genspot.report.audit.findings import (
    ORDER,
    VERDICTS,
    Audit,
    AuditedSet,
    describe,
    fix_of,
    headline,
    sentence,
    short_reason,
    what_to_do,
    why_not_judged,
)
from genspot.report.audit.pictures import Budget, TraitPanel, trait_panels
from genspot.report.audit.tables import pair_kinds
from genspot.report.sections.words import listing
from genspot.report.tables import format_percent
from genspot.report.templating import render_template

SAME = "same"
TOO_FEW = "too few images"


class SetPanel(NamedTuple):
    """One set on the page."""

    one: AuditedSet
    anchor: str
    reason: str
    unjudged: str  # why its classes were not compared, "" if they were
    traits: dict[str, Trait]
    panels: Sequence[TraitPanel]


def render_audit(audit: Audit) -> str:
    """Return the page, which refers to nothing outside itself."""
    budget = Budget()
    panels = [
        SetPanel(
            one,
            f"set-{number}",
            short_reason(one),
            why_not_judged(one),
            {trait.name: trait for trait in one.traits},
            trait_panels(audit, one, f"trait-{number}", budget),
        )
        for number, one in enumerate(audit.sets)
    ]
    names, same = _trait_names(audit)
    groups = [(each, [one for one in panels if one.one.judgement == each]) for each in ORDER]
    return render_template(
        "audit.html",
        title=audit.title,
        headline=headline(audit),
        audited=_audited(audit),
        verdicts=VERDICTS,
        groups=[(judgement, members) for judgement, members in groups if members],
        panels=panels,
        shown=[one for _, members in groups for one in members if one.panels],
        trait_names=names,
        same_names=same,
        content_names={trait.name for one in audit.sets for trait in one.traits if trait.content},
        copies=copy_panels(audit, budget),
        pair_counts=_pair_counts(audit),
        method=method,
        audit=audit,
        prose=_prose,
        describe=describe,
        fix_of=fix_of,
        what_to_do=what_to_do,
        cell=_cell,
        listing=listing,
        format_percent=format_percent,
    )


def _prose(text: str) -> Markup:
    """Return `text` as a sentence in which what stands between backticks is code."""
    parts = sentence(text).split("`")
    for number in range(1, len(parts), 2):
        parts[number] = Markup("<code>{}</code>").format(parts[number])
    return Markup("").join(escape(part) for part in parts)


def _trait_names(audit: Audit) -> tuple[list[str], list[str]]:
    """Return the traits that vary in a set, and those that do not in any."""
    cells: dict[str, list[str]] = {}
    for trait in (trait for one in audit.sets for trait in one.traits):
        cells.setdefault(trait.name, []).append(_cell(trait))
    same = [name for name, texts in cells.items() if set(texts) == {SAME}]
    return [name for name in cells if name not in same], same


def _cell(trait: Trait) -> str:
    """Return the AP of a trait with its interval; or why there is none."""
    low, high = trait.interval
    if low == high == trait.chance:
        return SAME
    if (low, high) == (0, 1) and trait.ap == trait.chance:
        return TOO_FEW
    return f"{format_percent(trait.ap)} [{format_percent(low)}, {format_percent(high)}]"


def _audited(audit: Audit) -> str:
    """Return what was audited, in a sentence."""
    reals, fakes = (
        sum(counts) for counts in zip(*((s.reals, s.fakes) for s in audit.sets), strict=True)
    )
    splits = Counter(one.where.split for one in audit.sets)
    sets = listing(
        f"{count} {SPLITS[split]} set{'' if count == 1 else 's'}"
        for split, count in splits.items()
    )
    return (
        f"{reals:,} real images and {fakes:,} fakes in {sets}. Two questions were asked of each "
        "set. Is there anything but the work of a generator that tells real from fake, such as "
        "another file format, size or JPEG quality? A detector that learns such a shortcut looks "
        "good in a test and fails on the next photo. And do images occur more than once, above "
        "all in what a detector learns from and in what it is tested on?"
    )


def _pair_counts(audit: Audit) -> str:
    """Return how many pairs of each kind there are, in a sentence."""
    counts = Counter(pair_kinds(audit).to_pylist())
    if not counts:
        return "No image occurs twice, not even nearly."
    parts = [f"{name}: {counts[name]:,}" for name in (*KINDS, SAME_SCENE) if counts[name]]
    return f"Pairs of images: {'; '.join(parts)}. duplicates.csv lists them."
