"""The card of a shared model: what it is, was trained on, and does on which test sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from genspot.report import summary, tables
from genspot.report.console import notes
from genspot.report.markdown import markdown_table
from genspot.report.published import published_table
from genspot.report.runs import Run
from genspot.report.sections import own_photo, question
from genspot.report.templating import render_template
from genspot.report.training_facts import training_facts

TASK = "image-classification"  # the Hub's name of the kind of task
TAGS = ["genspot", "generated-image-detection"]
# Key of metrics.json → type in the Hub's terms, name for readers.
HUB_METRICS = {
    "ap": ("average_precision", "AP"),
    "acc": ("accuracy", "accuracy at probability 0.5"),
    "fpr": ("false_positive_rate", "false alarms: real images called fake at probability 0.5"),
    "tpr": ("true_positive_rate", "found: fakes called fake at probability 0.5"),
}


def render_model_card(
    run: Run, training: Mapping[str, Any], repo: str, licence: str | None
) -> str:
    """Return the card as Markdown, with the metadata that the Hub reads at its top.

    Folders of this machine are left out. huggingface_hub, an extra, makes the metadata.

    Args:
        run: a test of the model.
        training: the settings of its training, as in config.yaml; {} where they are not known.
        repo: OWNER/NAME of the model.
        licence: its licence in the Hub's terms, such as "apache-2.0"; None: not stated.
    """
    shown = replace(run, metrics=run.metrics | {"checkpoint": f"hub/{repo}"})
    beside = published_table(run)
    command = own_photo.command(shown).removeprefix("python run.py ")
    return render_template(
        "model_card.md",
        front_matter=Markup(_front_matter(run, repo, licence)),
        title=repo.partition("/")[2],
        checkpoint=Markup(shown.metrics["checkpoint"]),
        command=Markup(f"genspot {command}"),
        headline=summary.headline([run]),
        question=question.question(run),
        facts=summary.run_facts(run),
        ranking=_table(run, tables.RANKING_COLUMNS),
        called=_table(run, tables.CALLED_COLUMNS, means=False),
        gap=summary.ap_accuracy_gap_note(run),
        notes=[_without_paths(note) for note in notes(run.metrics)],
        beside=beside,
        beside_table=beside and Markup(markdown_table(beside.heading, beside.rows)),
        training=Markup(
            markdown_table(["setting", "value"], training_facts(run, training), align="---")
        ),
        limits=own_photo.own_photo(run),
        shortcut=run.metrics["mean"].get("shortcut_baseline_ap"),
        format_percent=tables.format_percent,
        licence=licence,
    )


def _front_matter(run: Run, repo: str, licence: str | None) -> str:
    """Return the metadata of the card as YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    conditions = ("crop", "degradations", "protocol")
    results = [
        EvalResult(
            task_type=TASK,
            task_name="detection of generated images",
            dataset_type=name,
            dataset_name=one.get("title") or name,
            dataset_args={key: run.choices[key] for key in conditions},
            metric_type=kind,
            metric_name=label,
            metric_value=round(one[key], 6),
        )
        for name, one in run.metrics["generators"].items()
        for key, (kind, label) in HUB_METRICS.items()
        if one.get(key) is not None
    ]
    data = ModelCardData(
        license=licence,
        library_name="genspot",
        pipeline_tag=TASK,
        tags=TAGS,
        model_name=repo.partition("/")[2],
        eval_results=results,
    )
    return data.to_yaml()


def _table(run: Run, columns: dict[str, str], means: bool = True) -> Markup:
    """Return a table of figures; generators that the detector was trained on are marked."""
    heading, rows = tables.result_table(run.metrics, columns)
    names = [name for name, _ in tables.shown_rows(run.metrics)]
    generators = run.metrics["generators"]
    marked = [
        [f"{row[0]}{' (seen in training)' * bool(run.has_seen(name))}", *row[1:]]
        for name, row in zip(names, rows, strict=True)
        if means or name in generators
    ]
    return Markup(markdown_table(heading, marked))


def _without_paths(note: str) -> str:
    """Return a note without the folders of this machine, and without files that are not shared."""
    return re.sub(r"(?<!\S)/.*/", "…/", note).replace(" (unreadable.csv)", "")
