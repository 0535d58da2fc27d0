"""Each generator's AP when trainings left it out, beside that of trainings on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genspot.evaluation.means import mean_over_trainings
from genspot.report.runs import MAX_NAMED, Run, generator_names, varying_choices
from genspot.report.sections.words import Table
from genspot.report.tables import ABSENT, format_percent, format_signed

HEADING = ["generator", "AP held out", "trainings without it", "AP seen", "trainings on it"]
HEADING += ["held out minus seen"]
CAPTION = (
    "AP in percent, with interval, of trainings without images of the generator and of trainings "
    "with them, on the same test images. Over several trainings it is the mean, and the interval "
    "is also over them."
)
SAME = ("aug", "model", "crop", "degradations", "protocol")  # of the runs in one table


def held_out_tables(runs: Sequence[Run]) -> list[Table]:
    """Return a table for each group of runs that differ only in what they were trained on.

    A group without a generator that some trainings left out, and others were trained on, has none.
    """
    groups: dict[object, dict[Path, Run]] = {}
    for run in runs:
        if run.complete_generators:
            key = tuple(run.choices[choice] for choice in SAME), run.image_paths
            groups.setdefault(key, {}).setdefault(run.checkpoint, run)
    varying = [key for key in varying_choices(runs) if key in SAME]
    return [
        table
        for group in groups.values()
        if (table := _table([*group.values()], varying)) is not None
    ]


def differ_in_held_out(runs: Sequence[Run]) -> bool:
    """Return whether some runs left sets out of their training that others did not."""
    return len({frozenset(run.left_out) for run in runs}) > 1


def in_order_of_sets(runs: Sequence[Run]) -> list[Run]:
    """Return `runs` by the places of the sets that each left out; as they are if all are equal."""
    places = {name: place for place, name in enumerate(generator_names(runs))}
    return sorted(
        runs, key=lambda run: sorted(places[name] for name in run.left_out if name in places)
    )


def headline_of(tables: Sequence[Table]) -> str:
    """Return the means of tables of `held_out_tables` in sentences."""
    texts = []
    for table in tables[:MAX_NAMED]:
        _, held_out, _, seen, *_ = table.rows[-1]
        choices = table.caption.removesuffix(CAPTION)
        beside = f"; when seen in training: {seen}" if seen != ABSENT else ""
        texts.append(
            f"{choices}Mean AP of the generators when held out of the training: {held_out}"
            f"{beside}."
        )
    more = len(tables) - len(texts)
    return " ".join(texts) + (f" {more} more in the table." if more > 0 else "")


def _table(runs: Sequence[Run], varying: Sequence[str]) -> Table | None:
    held_out, seen = _runs_by_generator(runs, "unseen"), _runs_by_generator(runs, "seen")
    if not held_out.keys() & seen.keys():
        return None
    known = {name: seen[name] for name in held_out if name in seen}
    first = _summary(held_out)
    second = _summary(known)
    rows = [
        _row(name, first[name], len(found), second.get(name, {}), len(seen.get(name, [])))
        for name, found in held_out.items()
    ]
    of_mean = second["mean"] if len(known) == len(held_out) else {}
    rows.append(_row("mean", first["mean"], None, {**of_mean, "interval": None}, None))
    choices = ", ".join(runs[0].choices[key] for key in varying)
    return Table(f"{choices}: {CAPTION}" if choices else CAPTION, HEADING, rows)


def _runs_by_generator(runs: Sequence[Run], key: str) -> dict[str, list[Run]]:
    """Return each generator with the runs in which it was "seen" or "unseen", by their seed."""
    found: dict[str, list[Run]] = {name: [] for run in runs for name in run.complete_generators}
    for run in sorted(runs, key=lambda run: run.training_seed or 0):
        for name in run.groups[key]:
            found[name].append(run)
    return {name: group for name, group in found.items() if group}


def _summary(parts: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Return the AP of each generator over its runs, and "mean"."""
    first = next(iter(parts.values()))[0]
    drawn = first.metrics["confidence"], first.real_sets, first.clusters
    tables = {name: [run.scores for run in group] for name, group in parts.items()}
    found = mean_over_trainings(tables, *drawn)
    return {**found["generators"], "mean": found["mean"]}


def _row(
    name: str,
    held_out: Mapping[str, Any],
    trainings: int | None,
    seen: Mapping[str, Any],
    seen_trainings: int | None,
) -> list[str]:
    aps = held_out["ap"], seen.get("ap")
    difference = None if None in aps else aps[0] - aps[1]
    counts = ["" if count is None else str(count) for count in (trainings, seen_trainings)]
    texts = [_estimate(held_out), counts[0], _estimate(seen), counts[1]]
    return [name, *texts, format_signed(difference)]


def _estimate(figures: Mapping[str, Any]) -> str:
    text, interval = format_percent(figures.get("ap")), figures.get("interval")
    return f"{text} [{' – '.join(map(format_percent, interval))}]" if interval else text
