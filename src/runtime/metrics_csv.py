"""The curves of an interrupted training, which a resumed one continues."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_metrics_csv(folder: Path, steps: int) -> list[dict[str, str]]:
    """Return the rows of metrics.csv in `folder` that belong to the first `steps` steps.

    Results, which have no epoch, are left out: a training that goes on has others. So are lines
    that a kill or a full disk left incomplete. No file gives no rows.
    """
    file = folder / "metrics.csv"
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if None not in row.values()]
    return [
        row
        for row in rows
        if row["step"].isdecimal() and int(row["step"]) < steps and row.get("epoch") != ""
    ]


def restore_metrics_csv(rows: list[dict[str, str]], loggers: Iterable[Any]) -> None:
    """Log `rows` again to each CSVLogger of `loggers`, which starts by deleting its file."""
    from pytorch_lightning.loggers import CSVLogger  # slow to import

    for logger in loggers:
        if isinstance(logger, CSVLogger):
            for row in rows:
                values: dict[str, Any] = {k: v for k, v in row.items() if v and k != "step"}
                logger.experiment.log_metrics(values, int(row["step"]))
            logger.save()
