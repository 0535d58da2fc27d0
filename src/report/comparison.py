"""Several runs beside one another: differences to the first run, with paired intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genspot.evaluation import bootstrap
from genspot.report.columns import signed
from genspot.report.runs import Run, generators, labels, result, same_images


@dataclass(frozen=True)
class Difference:
    """AP of a run minus that of the first; paired where both scored the same images."""

    label: str
    paired: bool
    cells: list[tuple[str, bool]]  # text, whether its interval excludes zero


def differences(runs: Sequence[Run]) -> list[Difference]:
    """For each run but the first: the mean, if of the same generators, then every generator."""
    names = ["mean", *generators(runs)]
    found = []
    for run, label in zip(runs[1:], labels(runs)[1:], strict=True):
        # Both scored on the same resamples: what the images share cancels.
        paired = (
            bootstrap.paired(run.scores, runs[0].scores, **runs[0].resampling)
            if same_images(run, runs[0])
            else None
        )
        cells = [_cell(run, runs[0], name, paired) for name in names]
        found.append(Difference(label, paired is not None, cells))
    return found


def _cell(run: Run, first: Run, name: str, paired: dict[str, Any] | None) -> tuple[str, bool]:
    one, other = result(run, name).get("ap"), result(first, name).get("ap")
    other_mean = name == "mean" and set(run.complete) != set(first.complete)
    if one is None or other is None or other_mean:
        return "–", False
    pairs = {**paired["generators"], "mean": paired["mean"]} if paired else {}
    interval = (pairs.get(name) or {}).get("interval")
    if interval is None:
        return signed(one - other), False
    low, high = interval
    return f"{signed(one - other)} [{signed(low)}, {signed(high)}]", low > 0 or high < 0
