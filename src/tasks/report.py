"""What looks at finished runs together."""

from __future__ import annotations

import json
import re
from pathlib import Path

from omegaconf import DictConfig

from genspot import report
from genspot.common.errors import GenspotError


def report_on(cfg: DictConfig) -> None:
    """Write one report on the runs below the folders of `runs` into this run's own folder."""
    folder = Path(cfg.paths.output)
    runs = find_runs([cfg.runs] if isinstance(cfg.runs, str) else list(cfg.runs))
    report.write(runs, folder, cfg.report.title or folder.name)
    for name in ("report.html", "results.csv", "results.md", "results.tex"):
        print(f"{name + ':':14}{folder / name}")


def find_runs(folders: list[str]) -> list[Path]:
    """The folders with results: those named, or those directly below them.

    Raises:
        GenspotError: there are none.
    """
    if not folders:
        raise GenspotError("task=report needs runs=[FOLDER,…]: of runs, or of a sweep")
    found = []
    for name in folders:
        folder = Path(str(name)).expanduser()
        here = [folder] if (folder / "metrics.json").is_file() else []
        below = sorted((file.parent for file in folder.glob("*/metrics.json")), key=_order)
        if not (here or below):
            raise GenspotError(f"runs={folder}: no results (metrics.json) there or just below it")
        found += here or below
    return found


def _order(folder: Path) -> tuple[bool, bool, list[int | str]]:
    """What others are compared with first: undegraded tests, trainings without augmentation.

    Then by name, numbers by their value: 2, 4, 16 classes.
    """
    try:
        about = dict(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
    except (TypeError, ValueError):
        about = {}  # whoever reads it says what is wrong
    parts = re.split(r"(\d+)", folder.name)
    name = [int(part) if part.isdigit() else part for part in parts]
    return bool(about.get("degrade")), about.get("trained_on", {}).get("aug") != "none", name
