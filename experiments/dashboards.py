#!/usr/bin/env python3
"""The Weights & Biases report that compares augmentations and numbers of classes.

    python experiments/dashboards.py --entity ME --project genspot           print it as JSON
    python experiments/dashboards.py --entity ME --project genspot --save    save it, print its URL

It shows runs with logger=wandb. Each section of a report selects its own runs, which those of a
W&B workspace cannot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import wandb
from omegaconf import OmegaConf

from genspot.common.extras import missing_extra

try:
    import wandb_workspaces.reports.v2 as wr
except ImportError as error:
    if error.name != "wandb_workspaces":
        raise
    sys.exit(f"dashboards: {missing_extra('this report', 'wandb-workspaces', 'dashboards')}")

GENERATORS = Path(__file__).resolve().parents[1] / "conf" / "generator"
# Filters on what conf/logger/wandb.yaml logs as the run's config. The first excludes tests of the
# same detectors.
TRAININGS = "Config('task') == 'train'"
# Table 2 of the paper: augmentations on all classes, and numbers of classes with one augmentation.
ALL_CLASSES = "Config('num_classes') == 20 and Config('model') == 'resnet50'"
ONE_AUGMENTATION = "Config('aug') == 'blur_jpg_0.5' and Config('model') == 'resnet50'"
CURVES = ("train/loss", "val/acc", "val/ap")
WIDTH = 24  # columns of a report's grid


def known_generators(simulated: bool) -> list[str]:
    """Return the simulated generators of conf/generator/, or the thirteen of Wang et al."""
    if not simulated:
        return sorted(OmegaConf.load(GENERATORS / "forensynths.yaml").defaults)
    specs = {}
    for file in sorted(GENERATORS.glob("sim_*.yaml")):
        specs |= OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    return list(specs)


def ap_charts(generators: Sequence[str], choice: str) -> list[wr.BarPlot]:
    """Return charts of AP by `choice`: all generators, the mean, and each with its interval."""
    together = [f"ap/{name}" for name in generators]
    return [
        _bar_chart("AP of every generator", together, choice, height=10),
        _bar_chart("Mean AP and its 95% interval", _interval("mean"), choice, height=8),
        *(_bar_chart(f"AP on {name}", _interval(name), choice) for name in generators),
    ]


def _interval(name: str) -> list[str]:
    return [f"ap_low/{name}", f"ap/{name}", f"ap_high/{name}"]


def _bar_chart(
    title: str, metrics: list[str], choice: str, height: int | None = None
) -> wr.BarPlot:
    return wr.BarPlot(
        title=title,
        metrics=metrics,
        range_x=(0, 1),
        groupby=wr.Config(choice),
        groupby_aggfunc="mean",  # over the seeds
        groupby_rangefunc="minmax",
        layout=wr.Layout(w=WIDTH, h=height) if height else wr.Layout(),
    )


def media(generators: Sequence[str]) -> list[object]:
    """Return the AP table, the precision-recall curves, the spectra and the rankings."""
    spectra = [f"spectra/{name}_{kind}" for name in generators for kind in ("real", "fake")]
    ranking = [f"ranking/{name}" for name in generators]
    wide = {"layout": wr.Layout(w=WIDTH, h=10)}
    return [
        wr.WeavePanelSummaryTable(table_name="ap_table", **wide),
        wr.CustomChart(
            query={"summaryTable": {"tableKey": "pr_table"}},
            chart_name="wandb/line/v0",
            chart_fields={"x": "recall", "y": "precision", "stroke": "generator"},
            chart_strings={"title": "Precision over recall"},
            **wide,
        ),
        wr.MediaBrowser(title="Spectra", media_keys=spectra, **wide),
        wr.MediaBrowser(title="Ranking", media_keys=ranking, **wide),
    ]


def make_report(
    entity: str, project: str, generators: Sequence[str], paper_only: bool, online: bool
) -> wr.Report:
    """Return the report.

    Args:
        entity: its owner.
        project: the project of its runs.
        generators: those to compare on, in order.
        paper_only: compare only the trainings that the paper has, not all of the project.
        online: name the project in each set of runs, for which the package asks the server.
            Without it, a set has the report's own project.
    """
    curves = [wr.LinePlot(title=name, x="trainer/global_step", y=[name]) for name in CURVES]
    sections: list[tuple[str, str, str | None, Sequence[object]]] = [
        ("Augmentations", ALL_CLASSES, "aug", ap_charts(generators, "aug")),
        ("Class counts", ONE_AUGMENTATION, "num_classes", ap_charts(generators, "num_classes")),
        ("Curves", "", None, curves),
        ("Media", "", None, media(generators)),
    ]
    blocks: list[object] = []
    for name, paper, choice, panels in sections:
        filters = [TRAININGS if choice else "", paper if paper_only else ""]
        runs = wr.Runset(
            name=name,
            filters=" and ".join(filter(None, filters)),
            groupby=[f"config.{choice}"] if choice else [],
            entity=entity if online else "",
            project=project if online else "",
        )
        blocks += [wr.H1(name), wr.PanelGrid(runsets=[runs], panels=panels)]
    return wr.Report(
        entity=entity,
        project=project,
        title="Augmentations and class counts",
        blocks=blocks,
        width="fluid",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entity", required=True, help="a user or a team")
    parser.add_argument("--project", default="genspot")
    parser.add_argument("--generators", help="instead of all: sitd,san")
    parser.add_argument("--miniature", action="store_true", help="the simulated generators")
    parser.add_argument("--save", action="store_true", help="save it instead of printing it")
    options = parser.parse_args(arguments)
    generators = known_generators(options.miniature)
    if options.generators:
        generators = options.generators.split(",")
    settings = (options.entity, options.project, generators, not options.miniature)
    if not options.save:
        # The package has no public way to show what it would send.
        model = make_report(*settings, online=False)._to_model()
        print(model.model_dump_json(by_alias=True, exclude_none=True, indent=2))
        return
    try:
        if not wandb.login(prompt=False):
            raise PermissionError("no key: wandb login, or WANDB_API_KEY")
        print(make_report(*settings, online=True).save().url)
    except Exception as error:  # of the key, the server or the network
        sys.exit(f"dashboards: not saved: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
