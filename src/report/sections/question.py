"""What was asked, what the detector was trained on, and what real and fake mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from genspot.report import protocols
from genspot.report.runs import Run
from genspot.report.sections.words import listing
from genspot.report.shares import called

PAPER = "“CNN-generated images are surprisingly easy to spot… for now” (CVPR 2020)"


def question(run: Run) -> list[str]:
    """Return the paragraphs of the section."""
    results, choices = run.metrics["generators"], run.choices
    fakes = [name for name, figures in results.items() if figures["fake"]]
    asked = "Can a detector find the fakes of generators that it has not seen in training?"
    if len(fakes) == 1:
        asked = f"How well does a detector find the fakes of {fakes[0]}?"
    elif not fakes:
        asked = "How many real images does a detector take for fakes?"
    images = run.metrics.get("training_images")
    counts = f" ({images['real']} real and {images['fake']} fake images)" if images else ""
    trained = f"The model {choices['model']} was trained on the data set {choices['data']}{counts}"
    if makers := sorted(run.training_generators):
        named = listing(f"{one}{_nature(run, one)}" for one in makers)
        trained += f", whose fakes are made by {named}"
    paragraphs = [
        f"{asked} This follows Wang et al., {PAPER}.",
        f"{trained}. {_tested(run, fakes)} {_kinds(run, fakes)}".rstrip(),
    ]
    if protocols.is_changed(run.metrics):
        protocol = protocols.protocol_of(run.metrics)
        paragraphs.append(f"The protocol is {protocol}: {protocols.change(run.metrics)}")
    if degradations := run.metrics["degradations"]:
        paragraphs.append(f"All test images were degraded first: {' then '.join(degradations)}.")
    return paragraphs


def _nature(run: Run, name: str) -> str:
    """Return what the configuration says of a generator, in parentheses."""
    settings = run.generator_settings.get(name, {})
    kind, upsampling = settings.get("kind"), settings.get("upsampling")
    return f" ({kind}; upsampling: {upsampling})" if kind and upsampling else ""


def _tested(run: Run, fakes: Sequence[str]) -> str:
    """Return how many generators were tested, and which of them the detector has seen."""
    if not fakes:
        return "It was tested on real images alone."
    count, seen = len(fakes), [run.has_seen(name) for name in fakes]
    text = f"It was tested on fakes of {'one generator' if count == 1 else f'{count} generators'}"
    if None in seen:
        text += "; whether it had seen all of them in training is not recorded."
    elif not any(seen):
        unseen = "which it had not seen" if count == 1 else "none of which it had seen"
        text += f", {unseen} in training."
    elif all(seen):
        text += f", {'the one' if count == 1 else 'all'} of its training."
    else:
        known = [name for name in fakes if run.has_seen(name)]
        number = "one" if len(known) == 1 else str(len(known))
        text += f": {number} it had seen in training, {listing(known)}, the other "
        text += f"{count - len(known)} not."
    return f"{text} {_one_class(run)}".rstrip()


def _one_class(run: Run) -> str:
    """Return which sets have real images alone, or fakes alone, beside the others."""
    found, parts = called(run.metrics), []
    for kind in dict.fromkeys(one.kind for one in found):
        names = [one.name for one in found if one.kind == kind]
        parts.append(f"{listing(names)} {'has' if len(names) == 1 else 'have'} {kind} alone")
    return f"Of the test sets, {'; '.join(parts)}." if parts else ""


def _kinds(run: Run, fakes: Sequence[str]) -> str:
    """Return what real and fake images are here."""
    files = [run.generator_settings.get(name, {}) for name in run.metrics["generators"]]
    reals = [str(values["real"]) for values in files if values.get("real")]
    kinds = Counter(str(values["kind"]) for values in files if values.get("kind"))
    if min(len(reals), kinds.total()) < len(files):
        return "Which images are real and which are fake is as the test sets say." if fakes else ""
    makers = [f"{kind} ({count})" if count > 1 else kind for kind, count in kinds.items()]
    sources = "; ".join(dict.fromkeys(reals))
    return f"Real images come from: {sources}. Fakes come from: {'; '.join(makers)}."
