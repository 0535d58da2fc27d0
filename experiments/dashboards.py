#!/usr/bin/env python3
"""The Weights & Biases report that compares augmentations and class counts.

    python experiments/dashboards.py --entity ME --project genspot           print what it holds
    python experiments/dashboards.py --entity ME --project genspot --save    make it, print its URL

A report, for each of its sections has runs of its own: a workspace filters all sections alike.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import wandb
import wandb_workspaces.reports.v2 as wr
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
TRAINED = "Config('task') == 'train'"  # not tests of the same detectors, on degraded images too
# What the paper compares: the augmentations on all classes, the class counts under one of them.
AUGMENTATIONS = "Config('num_classes') == 20 and Config('model') == 'resnet50'"
CLASS_COUNTS = "Config('aug') == 'blur_jpg_0.5' and Config('model') == 'resnet50'"
CURVES = ("train/loss", "val/acc", "val/ap")
KINDS = ("real", "fake")
WIDTH = 24  # of a report's grid, in its own units


def known_generators(key: str) -> list[str]:
    """Generators of conf/generator/ whose file fills `key`: "published" or "simulator"."""
    specs = {}
    for file in sorted((ROOT / "conf" / "generator").glob("*.yaml")):
        specs |= OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    return [name for name, spec in specs.items() if spec.get(key)]


def bars(generators: Sequence[str], choice: str) -> list[wr.BarPlot]:
    """All APs at once, the mean with its interval, and a plot for each generator."""
    means = [f"ap/{name}" for name in generators]
    interval = ["ap_low/mean", "ap/mean", "ap_high/mean"]
    return [
        _bar("AP of every generator", means, choice, wr.Layout(w=WIDTH, h=10)),
        _bar("Mean AP and its 95% interval", interval, choice, wr.Layout(w=WIDTH, h=8)),
        *(
            _bar(f"AP on {name}", [f"ap_low/{name}", f"ap/{name}", f"ap_high/{name}"], choice)
            for name in generators
        ),
    ]


def _bar(
    title: str, metrics: list[str], choice: str, layout: wr.Layout | None = None
) -> wr.BarPlot:
    return wr.BarPlot(
        title=title,
        metrics=metrics,
        range_x=(0, 1),
        groupby=wr.Config(choice),
        groupby_aggfunc="mean",  # of the seeds
        groupby_rangefunc="minmax",
        layout=layout or wr.Layout(),
    )


def curves() -> list[wr.LinePlot]:
    return [wr.LinePlot(title=name, x="trainer/global_step", y=[name]) for name in CURVES]


def media(generators: Sequence[str]) -> list[object]:
    """The AP table, the precision-recall curves, and the pictures of spectra and rankings."""
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
        _browser("Spectra", [f"spectra/{name}_{kind}" for name in generators for kind in KINDS]),
        _browser("Ranking", [f"ranking/{name}" for name in generators]),
    ]


def _browser(title: str, keys: list[str]) -> wr.MediaBrowser:
    return wr.MediaBrowser(title=title, media_keys=keys, layout=wr.Layout(w=WIDTH, h=10))


def build(
    entity: str, project: str, generators: Sequence[str], filtered: bool, online: bool
) -> wr.Report:
    """The report.

    Args:
        entity: who owns it.
        project: whose runs it shows.
        generators: to compare on, in order.
        filtered: compare the published comparison's trainings alone, not all of the project.
        online: name the project in each run set, for which the package asks the server at once;
            without, a run set is of the report's own project.
    """
    sections: list[tuple[str, str, str | None, Sequence[object]]] = [
        ("Augmentations", AUGMENTATIONS, "aug", bars(generators, "aug")),
        ("Class counts", CLASS_COUNTS, "num_classes", bars(generators, "num_classes")),
        ("Curves", "", None, curves()),
        ("Media", "", None, media(generators)),
    ]
    blocks: list[object] = []
    for name, published, choice, panels in sections:
        filters = [TRAINED if choice else "", published if filtered else ""]
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


def save(args: argparse.Namespace, generators: Sequence[str]) -> str:
    """Make the report on the server, and return its URL."""
    if not wandb.login(prompt=False):
        raise PermissionError("no key: wandb login, or WANDB_API_KEY")
    report = build(args.entity, args.project, generators, not args.miniature, online=True)
    return str(report.save().url)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entity", required=True, help="a user or a team")
    parser.add_argument("--project", default="genspot")
    parser.add_argument("--generators", help="instead of all: sitd,san")
    parser.add_argument("--miniature", action="store_true", help="the simulated generators")
    parser.add_argument("--save", action="store_true", help="make it; else it is only printed")
    args = parser.parse_args(words)
    found = known_generators("simulator" if args.miniature else "published")
    generators = args.generators.split(",") if args.generators else found
    if not args.save:
        report = build(args.entity, args.project, generators, not args.miniature, online=False)
        print(report._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=2))
        return
    try:
        print(save(args, generators))
    except Exception as error:  # whatever the key, the server or the network did
        sys.exit(f"dashboards: not saved: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
