"""What finished runs left in their folders."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch


def read_metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content


def read_logits(folder: Path) -> dict[str, float]:
    """Return path → logit."""
    table = pq.read_table(folder / "scores.parquet")
    return dict(zip(table["path"].to_pylist(), table["logit"].to_pylist(), strict=True))


def read_csv(file: Path) -> list[dict[str, str]]:
    """Return the rows, with the texts that cells of `genspot.common.tables.csv_cell` stand for."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [{key: _text(cell) for key, cell in row.items()} for row in csv.DictReader(lines)]


def _text(cell: str) -> str:
    if not cell.startswith("'"):
        return cell
    escaped = re.compile(r"\\(\\|[nrt]|x..|u....|U........)")
    return escaped.sub(
        lambda found: found[0].encode("ascii").decode("unicode_escape"), cell.removeprefix("'")
    )


def assert_same_training(folder: Path, other: Path) -> None:
    """Check that two trainings ended with the same scores, curves and weights, to the bit."""
    for name in ("scores.parquet", "validation.parquet", "unreadable.csv", "metrics.csv"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert (folder / "report.html").is_file()
    states = [torch.load(run / "last.ckpt", weights_only=True) for run in (folder, other)]
    assert states[0]["global_step"] == states[1]["global_step"]
    weights = [state["state_dict"] for state in states]
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key]), key
