"""What was asked, what the detector was trained on, and what real and fake mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from genspot.report.runs import Run

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
    maker = run.training_generator
    if maker is not None:
        trained += f", whose fakes are made by {maker}{_nature(run, maker)}"
    paragraphs = [
        f"{asked} This follows Wang et al., {PAPER}.",
        f"{trained}. {_tested(run, fakes)} {_kinds(run, fakes)}",
    ]
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
        return f"{text}; whether it had seen all of them in training is not recorded."
    if True not in seen:
        unseen = "which it had not seen" if count == 1 else "none of which it had seen"
        return f"{text}, {unseen} in training."
    if count == 1:
        return f"{text}, the one of its training."
    first = fakes[seen.index(True)]
    return f"{text}: one it had seen in training, {first}, the other {count - 1} not."


def _kinds(run: Run, fakes: Sequence[str]) -> str:
    """Return what real and fake images are here."""
    files = [run.generator_settings.get(name, {}) for name in run.metrics["generators"]]
    reals = [str(values["real"]) for values in files if values.get("real")]
    kinds = Counter(str(values["kind"]) for values in files if values.get("kind"))
    if min(len(reals), kinds.total()) < len(files):
        text = "Real images are those in the folders 0_real"
        return f"{text}, fakes those in 1_fake." if fakes else f"{text}."
    makers = [f"{kind} ({count})" if count > 1 else kind for kind, count in kinds.items()]
    sources = "; ".join(dict.fromkeys(reals))
    return f"Real images come from: {sources}. Fakes come from: {'; '.join(makers)}."
