"""The generators in pictures, and which of them are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from genspot.report import figures, protocols, shares
from genspot.report.examples import DETAIL, Panel
from genspot.report.grades import CHANCE, FOUND, GRADES, MIN_FOUND, PARTLY
from genspot.report.runs import Run
from genspot.report.sections.words import listing
from genspot.report.tables import format_ap, format_percent

RULES = {
    FOUND: f"the AP is {100 * MIN_FOUND:g} or more, its interval above that of a random order",
    PARTLY: f"the AP is below {100 * MIN_FOUND:g}, its interval above that of a random order",
    CHANCE: "the interval contains the AP of a random order",
}


def pictures(run: Run, panels: Sequence[Panel]) -> str:
    """Return how the images of the panels were chosen, and what is shown of them."""
    kinds = {example.kind for panel in panels for example in panel.examples}
    texts = []
    if "fake" in kinds:
        texts.append(
            "The fake has the median logit of its generator: half of the fakes look more fake to "
            "the detector, and half less."
        )
    if "real" in kinds:
        scenes = sum(panel.same_scene for panel in panels)
        median = "has the median logit of the real images"
        texts.append(
            "The real image shows the same scene: it has the same class and file name."
            if scenes == len(panels)
            else f"The real image shows the same scene where there is one, and else {median}."
            if scenes
            else f"The real image {median}."
        )
    texts.append(
        f"Below each image, its central {DETAIL} × {DETAIL} pixels (the frame) are enlarged, "
        "because the traces of a generator are small."
    )
    if any(panel.spectra for panel in panels):
        texts.append("At the bottom is the mean spectrum of the images of this kind.")
    if run.metrics["degradations"]:
        texts.append("Images and spectra are undegraded.")
    if protocols.is_changed(run.metrics):
        before = protocols.protocol_of(run.metrics)
        texts.append(f"Images and spectra are those of the files, before {before}.")
    if run.complete_generators:
        texts.append(
            "AP (average precision) says how well the fakes are ranked above the real images: 100 "
            "if each of them is above each real image, the percentage of fakes in a random order."
        )
    return " ".join(texts)


def answer(run: Run, panels: Sequence[Panel]) -> list[str]:
    """Return how many generators are found, of all and of those not seen in training."""
    graded = [panel for panel in panels if panel.grade]
    if not graded:
        return [
            "No set has images of both classes, so there is no ranking and no AP: what counts is "
            "how many images are called fake, having a probability above 0.5."
        ]
    unseen = [panel for panel in graded if panel.seen is False]
    texts = [
        _counts(f"Of {'1 generator' if len(graded) == 1 else f'{len(graded)} generators'}", graded)
    ]
    if 0 < len(unseen) < len(graded):
        texts.append(_counts(f"Of the {len(unseen)} that it had not seen in training", unseen))
    if len(graded) > 1:
        apart = run.metrics.get("means") or {}
        parts = [f", of {key} generators {format_ap(mean)}" for key, mean in apart.items()]
        texts.append(f"The mean AP is {format_ap(run.metrics['mean'])}{''.join(parts)}.")
    results = run.metrics["generators"]
    found = {panel.generator: results[panel.generator].get("acc_fake") for panel in graded}
    ordered = sorted((share, name) for name, share in found.items() if share is not None)
    if ordered:
        texts.append(
            "The grades say how well the fakes are ranked above the real images, not how many are "
            f"called fake: at a probability of 0.5, {_range(ordered)}."
        )
    shortcut = run.metrics["mean"].get("shortcut_baseline_ap")
    if shortcut is not None:
        texts.append(
            "A classifier that sees only file size, mean colour, sharpness and JPEG grid reaches "
            f"a mean AP of {format_percent(shortcut)}."
        )
    return texts


def _range(ordered: Sequence[tuple[float, str]]) -> str:
    """Return the lowest and the highest share of fakes that is called fake, with its set."""
    (low, worst), (high, best) = ordered[0], ordered[-1]
    first, last = format_percent(low), format_percent(high)
    if len(ordered) == 1:
        return f"that is {first}% of the fakes"
    if first == last:
        return f"that is {first}% of the fakes of each set"
    return f"that is {first}% ({worst}) to {last}% ({best}) of the fakes"


def _counts(start: str, graded: Sequence[Panel]) -> str:
    found = Counter(panel.grade for panel in graded)
    parts = [
        f"{found[each]} {'is' if found[each] == 1 else 'are'} {each}"
        for each in GRADES
        if found[each]
    ]
    return f"{start}, {listing(parts)}."


def graded_names(run: Run, panels: Sequence[Panel]) -> list[tuple[str, str]]:
    """Return each grade that occurs, with its rule, and its generators with their AP.

    The sets of one class follow with the shares that are called fake.
    """
    results, found = run.metrics["generators"], []
    for each in GRADES:
        names = [panel.generator for panel in panels if panel.grade == each]
        if names:
            rule = f" ({RULES[each]})" if each in RULES else ""
            aps = ", ".join(f"{name} {format_ap(results[name])}" for name in names)
            found.append((f"{each.capitalize()}{rule}", aps))
    called = shares.called(run.metrics)
    for kind, meaning in (("real images", "False alarms"), ("fakes", "Found")):
        texts = [f"{one.name} {one.text}" for one in called if one.kind == kind]
        if texts:
            label = f"{meaning} (share called fake in sets of {kind} alone)"
            found.append((label, ", ".join(texts)))
    return found


def bars(run: Run, panels: Sequence[Panel]) -> Markup | None:
    """Return the AP of each generator as bars with intervals, in the order of the panels."""
    graded = [panel for panel in panels if panel.grade]
    if not graded:
        return None
    results = [run.metrics["generators"][panel.generator] for panel in graded]
    values = "; ".join(
        f"{panel.generator} {format_ap(result)}"
        for panel, result in zip(graded, results, strict=True)
    )
    labels = [f"{panel.generator}: {panel.grade}" for panel in graded]
    aps, intervals = ([result[key] for result in results] for key in ("ap", "ap_interval"))
    chances = [panel.chance for panel in graded]
    alt, draw = f"AP in percent of each generator: {values}.", figures.draw_bars
    return figures.svg("ap-bars", alt, draw, labels, aps, intervals, "AP", chances)
