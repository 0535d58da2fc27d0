"""Detectors side by side, and the figures of each beside those that were published for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genspot.evaluation.intervals import accuracy_over_seeds
from genspot.evaluation.results import result_rows
from genspot.report.comparison import SeedGroup
from genspot.report.published import (
    MARKS,
    MEASURES,
    baseline_labels,
    beside,
    difference,
    lacks_augmentation,
)
from genspot.report.runs import CHOICES, Run, generator_names, number_if_equal
from genspot.report.sections.words import Table
from genspot.report.tables import ABSENT, format_estimate, format_percent, format_signed

EXPORTED = ["detector", *CHOICES, "trainings"]
EXPORTED += ["parameters", "gflop", "images_per_second", "device", "height", "width", "generator"]
EXPORTED += [f"{key}{end}" for key in MEASURES for end in ("", "_low", "_high")]
EXPORTED += ["publication", "row", "rerun", "unconfirmed", "published_aug"]  # empty: not stated
EXPORTED += ["published_ap", "ap_difference", "published_acc", "acc_difference"]
EXPORTED += ["source", "link"]
INTERVALS = "with intervals over trainings and test images (of one training: over images alone)"
CAPTION = (
    f"Each detector over its trainings: means over the sets, in percent, {INTERVALS}; those "
    "published, and here minus published in percentage points. * unconfirmed: found in one source "
    "only. † re-run: measured by others than the detector's authors. ‡ augmentation not stated by "
    "the source. GFLOP (10⁹ multiplications with their additions) of one image of the size given, "
    "and images a second in batches, the mean over the trainings, are of the network alone. –: "
    "not published, or not measured."
)
DIFFERENCE = "difference"
PUBLISHED_COLUMNS = (DIFFERENCE, *(f"published {measure}" for measure in MEASURES.values()))
OTHER_SETS = " The detectors were tested on other sets: their means are not comparable."
BESIDE = (
    f"in percent, {INTERVALS}. Below each detector, what was published for it, then here minus "
    f"published in percentage points. {MARKS}"
)


@dataclass(frozen=True)
class Detector:
    """A detector of a report: one run, or the trainings of one that differ in their seed.

    Attributes:
        label: of its rows.
        runs: one for each training.
        results: by generator, and "mean": "ap", "acc", their intervals, and `baselines` as
            metrics.json has them.
    """

    label: str
    runs: Sequence[Run]
    results: Mapping[str, dict[str, Any]]


def detectors(runs: Sequence[Run], groups: Sequence[SeedGroup]) -> list[Detector]:
    """Return the detectors with an AP, in the order of their runs; [] unless models differ.

    Args:
        runs: all of the report.
        groups: those of them that differ in their seed alone; see `comparison.over_seeds`.
    """
    found: list[tuple[str, Sequence[Run], Mapping[str, Any]]] = []
    grouped = {id(run): group for group in groups for run in group.runs}
    for run in runs:
        group = grouped.get(id(run))
        if group is None and run.complete_generators:
            found.append((run.label, [run], run.results))
        elif group is not None and not any(of is group.runs for _, of, _ in found):
            found.append((group.choice, group.runs, group.results))
    models = [of[0].choices["model"] for _, of, _ in found]
    if len(set(models)) < 2:
        return []
    if len(set(models)) == len(models):  # the model alone tells them apart
        found = [(model, *one[1:]) for model, one in zip(models, found, strict=True)]
    labels = number_if_equal([label for label, _, _ in found])
    return [
        Detector(label, of, _results(of, results))
        for label, (_, of, results) in zip(labels, found, strict=True)
    ]


def _results(runs: Sequence[Run], results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the AP and the accuracy of each generator, and of "mean", with their intervals."""
    first = runs[0]
    shared = first.metrics["confidence"], first.real_sets, first.clusters
    accuracy = dict(result_rows(accuracy_over_seeds([run.scores for run in runs], *shared)))
    return {
        name: {
            "ap": results[name]["ap"],
            "ap_interval": results[name]["ap_interval"],
            "acc": one["acc"],
            "acc_interval": one["interval"],
            "baselines": first.results[name].get("baselines") or [],
        }
        for name, one in accuracy.items()
        if name in results
    }


def detector_tables(found: Sequence[Detector]) -> list[Table]:
    """Return the table of the detectors, and one of each measure by generator; [] without any."""
    if not found:
        return []
    heading = ["detector", "trainings", "parameters", "GFLOP", "images a second", "image", "sets"]
    for measure in MEASURES.values():
        heading += [f"mean {measure}", f"published {measure}", DIFFERENCE]
    rows = []
    for one in found:
        sets = str(len(one.results) - 1)  # all but "mean"
        about = [one.label, str(len(one.runs)), *_cost(one.runs), sets]
        rows.append([*about, *_means(one.results["mean"])])
    if not any(one.results["mean"]["baselines"] for one in found):  # as of simulated sets
        own = [place for place, name in enumerate(heading) if name not in PUBLISHED_COLUMNS]
        heading, *rows = ([row[place] for place in own] for row in (heading, *rows))
    names = ["mean", *_names(found)]
    others = len({frozenset(one.results) for one in found}) > 1
    caption = CAPTION + OTHER_SETS * others
    return [Table(caption, heading, rows), *(_by_generator(found, key, names) for key in MEASURES)]


def _costs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [cost for run in runs if (cost := run.metrics.get("network"))]


def _cost(runs: Sequence[Run]) -> list[str]:
    """Return parameters, GFLOP, images a second and the size of the image."""
    costs = _costs(runs)
    if not costs:  # runs of older versions
        return [ABSENT] * 4
    first = costs[0]
    gflop = ABSENT if first["gflop"] is None else f"{first['gflop']:.3g}"
    speed = ", ".join(
        f"{value:,.0f} ({device})" if value >= 10 else f"{value:.2g} ({device})"
        for device, value in _speeds(costs).items()
    )
    size = f"{first['height']} × {first['width']}"
    return [f"{first['parameters']:,}", gflop, speed or ABSENT, size]


def _speeds(costs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return device → mean images a second of the trainings that measured them on it."""
    found: dict[str, list[float]] = {}
    for cost in costs:
        if cost["images_per_second"] is not None:
            found.setdefault(cost["device"], []).append(cost["images_per_second"])
    return {device: sum(speeds) / len(speeds) for device, speeds in found.items()}


def _means(mean: Mapping[str, Any]) -> list[str]:
    """Return both measures, each with the figure of the first publication, and the difference."""
    cells = []
    originals_first = sorted(mean["baselines"], key=lambda one: one["rerun"])
    for key in MEASURES:
        one = next((one for one in originals_first if one[key] is not None), None)
        published = ABSENT
        if one is not None:
            published = format_percent(one[key]) + "*" * one["unconfirmed"] + "†" * one["rerun"]
            published += "‡" * lacks_augmentation(one)
        cells += [format_estimate(mean, key), published, format_signed(difference(mean, one, key))]
    return cells


def _names(found: Sequence[Detector]) -> list[str]:
    order = generator_names([run for one in found for run in one.runs], one_class=False)
    return [name for name in order if any(name in one.results for one in found)]


def _by_generator(found: Sequence[Detector], key: str, names: Sequence[str]) -> Table:
    """Return a row for each detector, and below it one for each publication with this measure."""
    rows = []
    for one in found:
        rows.append(
            [one.label, *(format_estimate(one.results.get(name, {}), key) for name in names)]
        )
        for baseline, label in baseline_labels(one.results.values()).items():
            cells = [beside(one.results.get(name, {}), baseline, label, key) for name in names]
            if any(cell != ABSENT for cell in cells):
                rows.append([label.text, *cells])
    measure = MEASURES[key]
    caption = f"{measure[0].upper()}{measure[1:]} by generator, {BESIDE}"
    return Table(caption, ["detector", *names], rows)


def export_rows(found: Sequence[Detector]) -> Iterator[dict[str, Any]]:
    """Yield a row of `EXPORTED` for each generator, mean and publication, with exact figures.

    Args:
        found: `detectors`; without any, see `of_runs`.
    """
    for one in found:
        run = one.runs[0]
        seeds = " ".join(str(each.training_seed) for each in one.runs)
        about = {**run.choices, "detector": one.label, "trainings": len(one.runs), "seed": seeds}
        if costs := _costs(one.runs):
            speed = _speeds(costs).get(costs[0]["device"])
            about |= costs[0] | {"images_per_second": speed}
        for name, figures in one.results.items():
            row = {**about, "generator": name, "ap": figures["ap"], "acc": figures["acc"]}
            for key in MEASURES:
                ends = figures[f"{key}_interval"] or (None, None)
                row[f"{key}_low"], row[f"{key}_high"] = ends
            for published in figures["baselines"] or [None]:
                yield row | _published_cells(figures, published)


def _published_cells(figures: Mapping[str, Any], one: Mapping[str, Any] | None) -> dict[str, Any]:
    if one is None:
        return {}
    cells = {key: one[key] for key in ("row", "rerun", "unconfirmed", "source", "link")}
    cells["published_aug"] = one.get("aug")  # results of older versions lack it
    for key in MEASURES:
        cells[f"published_{key}"] = one[key]
        cells[f"{key}_difference"] = difference(figures, one, key)
    return {**cells, "publication": one["name"]}


def of_runs(runs: Sequence[Run]) -> list[Detector]:
    """Return each of `runs` that has published figures as a detector of its own."""
    return [
        Detector(run.label, [run], _results([run], run.results))
        for run in runs
        if any(figures.get("baselines") for figures in run.results.values())
    ]
