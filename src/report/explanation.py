"""The page of one run before its tables: what was asked, shown and found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from genspot.report import shares
from genspot.report.examples import Panel, make_panels
from genspot.report.runs import Run
from genspot.report.sections import generators, own_photo, question, spectra, threshold
from genspot.report.sections.words import Table


class Explanation(NamedTuple):
    """Paragraphs, tables and figures; what does not apply to the run is empty or None."""

    question: Sequence[str]
    pictures: str
    panels: Sequence[Panel]
    answer: Sequence[str]
    grades: Sequence[tuple[str, str]]
    bars: Markup | None
    called: Markup | None  # the shares called fake of the sets of one class, as bars
    reading: Sequence[str]  # of spectra
    findings: Sequence[str]
    strengths: Table | None
    threshold: Sequence[str]
    histograms: Markup | None
    command: str
    own_photo: Sequence[str]
    verdicts: Table


def explain(run: Run) -> Explanation:
    """Return the explanation of `run`."""
    panels = make_panels(run)
    order = [panel.generator for panel in panels]
    measured = spectra.strengths(run, order)
    return Explanation(
        question=question.question(run),
        pictures=generators.pictures(run, panels),
        panels=panels,
        answer=generators.answer(run, panels),
        grades=generators.graded_names(run, panels),
        bars=generators.bars(run, panels),
        called=shares.bars(shares.called(run.metrics)),
        reading=spectra.reading(run),
        findings=spectra.findings(measured),
        strengths=spectra.strength_table(measured),
        threshold=threshold.threshold(run),
        histograms=threshold.histograms(run),
        command=own_photo.command(run),
        own_photo=own_photo.own_photo(run),
        verdicts=own_photo.verdicts(run, order),
    )
