"""Several runs beside one another: differences to the first run, with paired intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detector import bootstrap
from detector.report.columns import signed
from detector.report.runs import Run, generators, labels, result, same_images


@dataclass(frozen=True)
class Difference:
    """AP of a run minus that of the first; paired where both scored the same images."""

    label: str
    paired: bool
    cells: list[tuple[str, bool]]  # text, whether its interval excludes zero


def differences(runs: Sequence[Run]) -> list[Difference]:
    """For each run but the first: the mean, then every generator."""
    names = ["mean", *generators(runs)]
    found = []
    for run, label in zip(runs[1:], labels(runs)[1:], strict=True):
        paired = _paired(run, runs[0]) if same_images(run, runs[0]) else None
        cells = [_cell(run, runs[0], name, paired) for name in names]
        found.append(Difference(label, paired is not None, cells))
    return found


def _paired(run: Run, first: Run) -> dict[str, Any]:
    """Both scored on the same resamples: what the images share cancels."""
    settings = first.metrics["bootstrap"]
    return bootstrap.paired(
        run.scores,
        first.scores,
        first.metrics.get("real_sets") or {},
        replicates=settings["replicates"],
        seed=first.metrics["seed"],
        confidence=settings["confidence"],
    )


def _cell(run: Run, first: Run, name: str, paired: dict[str, Any] | None) -> tuple[str, bool]:
    one, other = result(run, name).get("ap"), result(first, name).get("ap")
    if one is None or other is None:
        return "–", False
    pairs = {**paired["generators"], "mean": paired["mean"]} if paired else {}
    interval = (pairs.get(name) or {}).get("interval")
    if interval is None:
        return signed(one - other), False
    low, high = interval
    return f"{signed(one - other)} [{signed(low)}, {signed(high)}]", low > 0 or high < 0
