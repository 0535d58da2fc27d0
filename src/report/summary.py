"""The figures in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from genspot.report import shares
from genspot.report.held_out import headline_of
from genspot.report.runs import Run, varying_choices
from genspot.report.sections.words import Table
from genspot.report.tables import (
    FEW,
    Figures,
    format_ap,
    format_interval,
    format_percent,
    interval_units,
    small_sets,
)

MAX_NAMED = 3  # generators that a sentence names
MIN_GAP = 0.05  # of the accuracy at 0.5 to that at the best threshold; a smaller one gets no note


def headline(runs: Sequence[Run], held_out: Sequence[Table] = ()) -> str:
    """Return the result in one sentence, that of runs with tables of `held_out_tables` first."""
    if len(runs) > 1 and held_out:
        return f"{headline_of(held_out)} {shares.ranges(runs)}".rstrip()
    if len(runs) > 1:
        return f"{_headline_of_several(runs)} {shares.ranges(runs)}".rstrip()
    run = runs[0]
    called = shares.sentence(run.metrics)
    if not run.complete_generators:
        return called or "No image was tested, so there are no figures."
    return f"{_headline_of_aps(run)} {called}".rstrip()


def _headline_of_aps(run: Run) -> str:
    results = {name: run.metrics["generators"][name] for name in run.complete_generators}
    mean, confidence = run.metrics["mean"], run.metrics["confidence"]
    text = (
        f"Mean AP {format_percent(mean['ap'])}% "
        f"({100 * confidence:g}% interval {format_interval(mean)})"
    )
    if len(results) == 1:
        return f"{text} on {next(iter(results))}."
    text += f" over {len(results)} generators"
    few = small_sets(run.metrics)
    ap = {name: one["ap"] for name, one in results.items() if name not in few}
    if len({format_percent(value) for value in ap.values()}) < 2:
        return f"{text}."
    best, worst = (pick(ap, key=ap.__getitem__) for pick in (max, min))
    small = f" (of those with {FEW} images of each class or more)" if few else ""
    return (
        f"{text}: highest on {best} ({format_ap(results[best])}), "
        f"lowest on {worst} ({format_ap(results[worst])}){small}."
    )


def _headline_of_several(runs: Sequence[Run]) -> str:
    scored = [run for run in runs if run.metrics["mean"]["ap"] is not None]
    if not scored:
        return f"None of the {len(runs)} runs has an AP."
    if len({frozenset(run.complete_generators) for run in scored}) > 1:
        return (
            f"{len(runs)} runs, not all tested on the same generators: "
            "their means are not comparable."
        )
    best, worst = (pick(scored, key=lambda run: run.metrics["mean"]["ap"]) for pick in (max, min))
    shown = {format_percent(run.metrics["mean"]["ap"]) for run in scored}
    if len(shown) == 1 and len(scored) == len(runs):
        return f"Each of the {len(runs)} runs has a mean AP of {shown.pop()}%."
    keys = " and ".join(", ".join(varying_choices(runs)).rsplit(", ", 1))
    differ = f" that differ in {keys}" if keys else ""
    return (
        f"Of {len(runs)} runs{differ}, the highest mean AP is {_mean_ap(best)}, "
        f"the lowest {_mean_ap(worst)}."
    )


def _mean_ap(run: Run) -> str:
    mean = run.metrics["mean"]
    interval = f" [{format_interval(mean)}]" if mean["ap_interval"] else ""
    return f"{format_percent(mean['ap'])}%{interval} ({run.label})"


def ap_accuracy_gap_note(run: Run) -> str | None:
    """Return why the accuracy is lower than the AP suggests; None if the threshold 0.5 is good."""
    generators = run.metrics["generators"]
    found = {name: result for name, result in generators.items() if gap(result) >= MIN_GAP}
    if not found:
        return None
    named = sorted(found, key=lambda name: -gap(found[name]))[:MAX_NAMED]
    listing = ", ".join(
        f"{name} ({format_percent(found[name]['acc'])} instead of "
        f"{format_percent(found[name]['acc_oracle'])})"
        for name in named
    )
    more = f" and {len(found) - len(named)} more" if len(found) > len(named) else ""
    too_low = sum(result["acc_fake"] < result["acc_real"] for result in found.values())
    reason = "too high for reals, which stay above 0.5"
    if 2 * too_low >= len(found):
        reason = "too low for fakes, which stay below 0.5"
    return (
        "AP depends only on the order of the images, accuracy also on the threshold. At the "
        f"threshold 0.5 the accuracy is lower than at the best threshold on {listing}{more}: "
        f"probabilities are {reason}."
    )


def gap(figures: Figures) -> float:
    """Return by how much the best threshold exceeds the accuracy at 0.5; 0 without figures."""
    if figures["ap"] is None or figures["acc_oracle"] is None:
        return 0.0
    return figures["acc_oracle"] - figures["acc"]


def run_facts(run: Run) -> dict[str, str]:
    """Return what was run: term → value."""
    metrics, choices = run.metrics, run.choices
    crop, fit, versions = metrics["crop"], metrics.get("fit"), metrics.get("versions") or {}
    area = "whole" if crop is None else f"their central {crop} × {crop} pixels"
    facts = {
        "checkpoint": metrics["checkpoint"],
        "trained on": f"{choices['data']}, {choices['seed']}",
        "augmentation": choices["aug"],
        "model": choices["model"],
        "test images": f"{area}, {choices['degradations']}, {choices['protocol']}",
        "intervals": f"{100 * metrics['confidence']:g}%, over {interval_units(metrics)}",
    }
    if fit:
        facts["fitted on validation"] = (
            f"logit threshold {_fitted(fit['threshold'])}, "
            f"temperature {_fitted(fit['temperature'])} ({fit['images']} images)"
        )
    return facts | {
        "git commit": metrics.get("commit") or "unknown",
        "versions": ", ".join(map(" ".join, versions.items())) or "unknown",
        "folder": str(run.folder),
    }


def _fitted(value: float | None) -> str:
    return "not fitted" if value is None else f"{value:.4g}"
