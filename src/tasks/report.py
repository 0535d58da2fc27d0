"""Write one report on several finished runs, or on a sweep."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from genspot.common.errors import GenspotError
from genspot.common.files import read_json, write_text
from genspot.common.names import NO_PROTOCOL
from genspot.common.protocols import CONDITIONS, split_condition
from genspot.common.run_files import METRICS
from genspot.common.text import printable
from genspot.report.console import print_path
from genspot.report.page import render_report
from genspot.report.run_reader import read_run


def report(cfg: DictConfig) -> None:
    """Write a report on the runs in or directly below the folders `runs` into this run's folder.

    Raises:
        GenspotError: no finished run there, one that cannot be read, a report that fails, or a run
            that has its own report in this folder; in one line.
    """
    folder = Path(cfg.paths.output)
    if (folder / METRICS).is_file():
        raise GenspotError(
            f"{folder} holds a finished run, whose own report would be replaced: name another "
            "folder: hydra.run.dir=PATH"
        )
    runs = find_runs(list(cfg.runs) if isinstance(cfg.runs, ListConfig) else [cfg.runs])
    found = [read_run(run) for run in runs]
    try:
        texts = render_report(found, cfg.report.title or folder.name)
    except Exception as error:  # names, paths and pictures come from anywhere
        reason = printable(f"{type(error).__name__}: {error}")
        raise GenspotError(f"the report could not be made ({reason})") from error
    for name, text in texts.items():
        write_text(text, folder / name)
        print_path(name, folder / name)


def find_runs(folders: Sequence[object]) -> list[Path]:
    """Return the folders with results: those given, or those directly below them.

    Raises:
        GenspotError: there are none.
    """
    if not folders:
        raise GenspotError("task=report needs runs=[FOLDER,…]: of runs, or of a sweep")
    found = []
    for name in folders:
        folder = Path(str(name))
        here = [folder] if (folder / METRICS).is_file() else []
        below = sorted((file.parent for file in folder.glob(f"*/{METRICS}")), key=_sort_key)
        if not (here or below):
            raise GenspotError(f"runs={folder}: no results ({METRICS}) there or just below it")
        found += here or below
    return found


def _sort_key(folder: Path) -> tuple[bool, bool, int, list[int | str]]:
    """Put first what the others are compared with: no degradations, no augmentation, no condition.

    Then by name, with numbers by value: 2, 4, 16 classes.
    """
    try:
        metrics = read_json(folder / METRICS)
        augmented = metrics.get("trained_on", {}).get("aug") != "none"
        degraded = bool(metrics.get("degradations"))
        condition, _ = split_condition(str(metrics.get("protocol", NO_PROTOCOL)))
    except (AttributeError, OSError, ValueError):
        augmented = degraded = False  # read_run reports what is wrong with it
        condition = ""
    parts = re.split(r"(\d+)", folder.name)
    name = [int(part) if part.isdigit() else part for part in parts]
    return degraded, augmented, ("", *CONDITIONS).index(condition), name
