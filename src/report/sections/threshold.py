"""Why AP and accuracy differ."""

from __future__ import annotations

from markupsafe import Markup

from genspot.report import figures
from genspot.report.runs import Run
from genspot.report.summary import ap_accuracy_gap_note, gap
from genspot.report.tables import format_percent


def threshold(run: Run) -> list[str]:
    """Return the paragraphs of the section; none without an AP."""
    if not run.complete_generators:
        return []
    if note := ap_accuracy_gap_note(run):
        return [note, _example(run, _widest_gap(run))]
    name = _widest_gap(run)
    return [
        "AP depends only on the order of the images, accuracy also on the threshold. Here the "
        "threshold 0.5 is good: the accuracy is at most "
        f"{format_percent(max(0.0, gap(run.metrics['generators'][name])))} points below that at "
        f"the best threshold ({name})."
    ]


def histograms(run: Run) -> Markup | None:
    """Return the logits on the generator with the widest gap, if there is a wide one."""
    if not run.complete_generators or not ap_accuracy_gap_note(run):
        return None
    name = _widest_gap(run)
    images = run.images[name]
    alt = f"Histograms of the logits on {name}: {_above(run, name)} are above 0."
    parts = [images.logits[images.labels == label] for label in (0, 1)]
    return figures.svg("logits", alt, figures.draw_histograms, *parts)


def _widest_gap(run: Run) -> str:
    return max(run.complete_generators, key=lambda name: gap(run.metrics["generators"][name]))


def _above(run: Run, name: str) -> str:
    images, texts = run.images[name], []
    for label, kind in enumerate(("real images", "fakes")):
        logits = images.logits[images.labels == label]
        texts.append(f"{int((logits > 0).sum())} of {len(logits)} {kind}")
    return " and ".join(texts)


def _example(run: Run, name: str) -> str:
    result = run.metrics["generators"][name]
    text = (
        f"The largest difference is on {name}: its AP is {format_percent(result['ap'])}, its "
        f"accuracy at 0.5 is {format_percent(result['acc'])}, because {_above(run, name)} have a "
        "probability above 0.5 (a logit above 0)."
    )
    if result["acc_val_threshold"] is not None:
        reached = format_percent(result["acc_val_threshold"])
        text += f" The threshold chosen on validation images reaches {reached}."
    best = format_percent(result["acc_oracle"])
    return (
        f"{text} The best threshold reaches {best}, but choosing it needs the labels of these "
        "images."
    )
