"""The page and the files of one or several finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from genspot.report import columns
from genspot.report import comparison
from genspot.report import curves
from genspot.report import figures
from genspot.report import exports as files
from genspot.report import gallery
from genspot.report import robustness
from genspot.report import seeds
from genspot.report import summary as story
from genspot.report.console import named, percent, remarks, with_interval
from genspot.report.runs import Run, generators, labels, read, result
from genspot.runtime.run_folder import LAST_WRITTEN
from genspot.evaluation.scores import write_text

DARKEST = 65  # percent of the heat map's colour, at AP 100: text on it must stay legible


def write(runs: Sequence[Path], folder: Path, title: str) -> None:
    """results.csv, results.md, results.tex and report.html, each written beside, then renamed.

    Args:
        runs: folders of finished runs; the first is what the others are compared with.
        folder: of the report; made if it is not there.
        title: of the page.

    Raises:
        GenspotError: a folder holds no finished run.
    """
    finished = [read(Path(run)) for run in runs]
    combined = seeds.over_seeds(finished)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("results.csv", files.comma_separated(finished, combined)),
        ("results.md", files.markdown(finished, combined, title)),
        ("results.tex", files.latex(finished, combined)),
        (LAST_WRITTEN, page(finished, combined, title)),
    ):
        write_text(content, folder / name)


def page(runs: Sequence[Run], combined: Sequence[seeds.OverSeeds], title: str) -> str:
    """The whole page, without a reference to anything outside it."""
    environment = Environment(
        loader=PackageLoader("detector", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = labels(runs)
    return environment.get_template("report.html").render(
        title=title,
        many=len(runs) > 1,
        reading=story.reading(runs),
        runs=[_about(run, name) for run, name in zip(runs, names, strict=True)],
        heat=heat(runs) if len(runs) > 1 else None,
        bars=_bars(runs, names) if len(runs) > 1 else None,
        seeds=[_over_seeds(one, generators(runs)) for one in combined],
        seeds_caption=seeds.CAPTION,
        differences=comparison.differences(runs),
        generators=generators(runs),
        robustness=_robustness(runs),
        precision_recall=curves.precision_recall(runs),
        together=curves.TOGETHER,
        reliability=curves.reliability(runs),
        spectra=next((found for run in runs if (found := gallery.spectra(run))), []),
        shelves=gallery.shelves(runs[0]),
    )


def _about(run: Run, label: str) -> dict[str, Any]:
    """What the template shows of one run."""
    return {
        "label": label,
        "metrics": run.metrics,
        "tables": [
            (caption, columns.shown(run, group))
            for caption, group in (
                ("Ranking: does a fake rank above a real", columns.RANKING),
                ("Deciding: accuracy at thresholds, and calibration", columns.DECIDING),
            )
        ],
        "lines": [(name, named(name, one), one) for name, one in columns.lines(run)],
        "disagreement": story.disagreement(run),
        "remarks": remarks(run.metrics),
        "facts": story.facts(run),
        "config": run.config,
    }


def _over_seeds(one: seeds.OverSeeds, names: Sequence[str]) -> dict[str, Any]:
    """A row of the table over seeds: the mean, then every generator."""
    cells = [(name, with_interval(one.results.get(name, {}))) for name in ["mean", *names]]
    return {"label": one.label, "choice": one.choice, "runs": len(one.runs), "cells": cells}


def heat(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The heat map's rows: for each run the cells of the mean and of all generators.

    A cell has its text, its shade in percent of the colour (AP 50 and below is none), and
    whether it is the best of its column.
    """
    names = ["mean", *generators(runs)]
    values = {name: [result(run, name).get("ap") for run in runs] for name in names}
    best = {
        name: max((percent(ap) for ap in column if ap is not None), key=float, default="")
        for name, column in values.items()
    }
    return [
        {"label": label, "cells": [_cell(values[name][row], best[name], name) for name in names]}
        for row, label in enumerate(labels(runs))
    ]


def _cell(ap: float | None, best: str, name: str) -> dict[str, Any]:
    text = percent(ap)
    shade = 0 if ap is None else round(DARKEST * max(0.0, 2 * ap - 1))
    return {"generator": name, "text": text, "shade": shade, "best": text == best}


def _bars(runs: Sequence[Run], names: Sequence[str]) -> Markup:
    means = [run.metrics["mean"] for run in runs]
    gist = "; ".join(
        f"{name} {percent(mean['ap'])}" for name, mean in zip(names, means, strict=True)
    )
    return figures.bars(
        names,
        [mean["ap"] for mean in means],
        [mean.get("ap_interval") for mean in means],
        "bars",
        f"Mean AP in percent of each run: {gist}.",
    )


def _robustness(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each group of runs that differ in `degrade` only: its name, curves, and chains."""
    found = []
    for number, group in enumerate(robustness.groups(runs)):
        choices = group[0].choices
        found.append(
            {
                "name": f"{choices['data']}, {choices['aug']}, {choices['model']}",
                "curves": [
                    (curve, curves.robustness(curve, f"robust{number}-{curve.kind}-"))
                    for curve in robustness.curves(group)
                ],
                "chains": [
                    (run.choices["degrade"], percent(run.metrics["mean"]["ap"]))
                    for run in robustness.chains(group)
                ],
            }
        )
    return found
