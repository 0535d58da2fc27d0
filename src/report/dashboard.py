"""What loggers get of a run's results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pytorch_lightning.loggers import Logger
from sklearn.metrics import precision_recall_curve

from genspot.evaluation.measures import MEASURES, lines
from genspot.report.columns import difference

POINTS = 100  # of each generator's precision-recall curve
COLUMNS = ("generator", "ap", "low", "high", "published", "difference", "acc", "images")
MEDIA = ("spectra", "ranking")  # folders of a run whose pictures are shown

Row = list[Any]


def log_results(metrics: dict[str, Any], folder: Path, loggers: list[Logger]) -> None:
    """The figures as ap/GENERATOR, acc/GENERATOR and so on, their means as ap/mean.

    Weights & Biases also gets the bounds ap_low/… and ap_high/…, the table of the APs, the
    precision-recall curves and the pictures; it is the last thing that its run takes.

    Args:
        metrics: as in metrics.json.
        folder: of the run, with scores.parquet.
        loggers: of the run.
    """
    figures = {
        f"{measure}/{name}": one[measure]
        for name, one in lines(metrics)
        for measure in MEASURES
        if one[measure] is not None
    }
    for logger in loggers:
        logger.log_metrics(figures)
        if more := getattr(logger, "log_results", None):
            more(metrics, folder)


def table(metrics: dict[str, Any]) -> list[Row]:
    """The rows of `COLUMNS`, as fractions, the mean last; None where there is no figure."""
    rows = []
    for name, one in lines(metrics):
        low, high = one["ap_interval"] or (None, None)
        published = (one.get("published") or {}).get("ap")
        figures = [one["ap"], low, high, published, difference(one), one["acc"], one.get("images")]
        rows.append([name, *figures])
    return rows


def curves(metrics: dict[str, Any], folder: Path) -> Iterator[Row]:
    """Points [generator, recall, precision], about `POINTS` of each generator with an AP."""
    scores = pyarrow.parquet.read_table(folder / "scores.parquet")
    names = np.asarray(scores["generator"].cast(pa.string()).to_pylist(), dtype=object)
    labels, logits = scores["label"].to_numpy(), scores["logit"].to_numpy()
    for name, one in metrics["generators"].items():
        if one["ap"] is not None:
            mine = names == name
            precision, recall, _ = precision_recall_curve(labels[mine], logits[mine])
            steps = np.linspace(0, len(recall) - 1, min(POINTS, len(recall))).round().astype(int)
            for point in steps:
                yield [name, float(recall[point]), float(precision[point])]


def pictures(folder: Path) -> list[Path]:
    """The run's PNG files for Weights & Biases, shown as FOLDER/STEM."""
    return [file for name in MEDIA for file in sorted((folder / name).glob("*.png"))]
