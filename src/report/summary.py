"""What the figures say, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genspot.report.console import ends, percent
from genspot.report.runs import Run, differing, labels

TOLD = 3  # generators that a sentence names
GAP = 0.05  # of the accuracy at 0.5 to that at the best threshold, from which on it is told


def reading(runs: Sequence[Run]) -> str:
    """The result in one sentence."""
    if len(runs) > 1:
        return _of_many(runs)
    run = runs[0]
    if not run.complete:
        return "No generator has images of both classes, so there is no AP."
    ap = {name: run.metrics["generators"][name]["ap"] for name in run.complete}
    best, worst = max(ap, key=ap.__getitem__), min(ap, key=ap.__getitem__)
    mean, confidence = run.metrics["mean"], run.metrics["bootstrap"]["confidence"]
    text = f"Mean AP {percent(mean['ap'])}% ({100 * confidence:g}% interval {ends(mean)})"
    if len(ap) == 1:
        return f"{text} on {best}."
    return (
        f"{text} over {len(ap)} generators: highest on {best} ({percent(ap[best])}), lowest on "
        f"{worst} ({percent(ap[worst])})."
    )


def _of_many(runs: Sequence[Run]) -> str:
    ranked = [
        (run.metrics["mean"]["ap"], label, run)
        for run, label in zip(runs, labels(runs), strict=True)
        if run.metrics["mean"]["ap"] is not None
    ]
    if not ranked:
        return f"None of {len(runs)} runs has an AP."
    if len({frozenset(run.complete) for _, _, run in ranked}) > 1:
        return f"{len(runs)} runs, not all on the same generators: their means do not compare."
    best, worst = (pick(ranked, key=lambda one: one[0]) for pick in (max, min))
    keys = " and ".join(", ".join(differing(runs)).rsplit(", ", 1))
    differ = f" that differ in {keys}" if keys else ""
    return (
        f"Of {len(runs)} runs{differ}, the highest mean AP is {_mean(best[2])} ({best[1]}), "
        f"the lowest {_mean(worst[2])} ({worst[1]})."
    )


def _mean(run: Run) -> str:
    mean = run.metrics["mean"]
    interval = f" [{ends(mean)}]" if mean.get("ap_interval") else ""
    return f"{percent(mean['ap'])}%{interval}"


def disagreement(run: Run) -> str | None:
    """Why AP and accuracy disagree, where another threshold would do better than 0.5."""
    found = {name: one for name, one in run.metrics["generators"].items() if _misplaced(one)}
    if not found:
        return None
    worst = sorted(found, key=lambda name: found[name]["acc"] - found[name]["acc_best"])[:TOLD]
    listing = ", ".join(
        f"{name} ({percent(found[name]['acc'])} against {percent(found[name]['acc_best'])})"
        for name in worst
    )
    more = f" and {len(found) - len(worst)} more" if len(found) > len(worst) else ""
    low = sum(one["acc_fake"] < one["acc_real"] for one in found.values())
    why = "high for the reals, which stay above 0.5"
    if 2 * low >= len(found):
        why = "low for the fakes, which stay below 0.5"
    return (
        "AP asks for the order alone, accuracy for a threshold too. The accuracy at 0.5 falls "
        f"short of that at the best threshold on {listing}{more}, because probabilities are too "
        f"{why}."
    )


def _misplaced(one: dict[str, Any]) -> bool:
    best = one.get("acc_best")
    return one["ap"] is not None and best is not None and best - one["acc"] >= GAP


def facts(run: Run) -> list[tuple[str, str]]:
    """What was run, as terms and values."""
    metrics, choices = run.metrics, run.choices
    bootstrap, fit, crop = metrics["bootstrap"], metrics.get("fit"), metrics.get("crop")
    seen = "whole" if crop is None else f"their middle {crop} × {crop} pixels"
    listing = [
        ("checkpoint", metrics["checkpoint"]),
        ("trained on", f"{choices['data']}, {choices['seed']}"),
        ("augmentation", choices["aug"]),
        ("model", choices["model"]),
        ("test images", f"{seen}, {choices['degrade']}"),
        (
            "intervals",
            f"{100 * bootstrap['confidence']:g}% of {bootstrap['replicates']} bootstrap resamples "
            f"of the images within each class, seed {metrics['seed']}",
        ),
    ]
    if fit:
        listing.append(
            (
                "fitted on validation",
                f"logit threshold {fit['threshold']:.4g}, temperature {fit['temperature']:.4g} "
                f"({fit['images']} images)",
            )
        )
    listing.append(("git commit", metrics.get("commit") or "unknown"))
    versions = metrics.get("versions") or {}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [*listing, ("versions", told or "unknown"), ("folder", str(run.folder))]
