"""Whether a run's folder already holds its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from detector.errors import DetectorError

RESULTS = ("results.csv", "results.md", "results.tex")


def keep_config(folder: Path, cfg: DictConfig) -> None:
    """Save the composed configuration as config.yaml, on rank 0.

    Raises:
        DetectorError: the folder holds the results of another configuration.
    """
    # Imported here, for run.py only asks what is finished, and must not wait for Lightning.
    from pytorch_lightning.utilities import rank_zero_only

    if getattr(rank_zero_only, "rank", 0) != 0:
        return
    folder.mkdir(parents=True, exist_ok=True)
    config, text = folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True)
    if (folder / "metrics.json").is_file() and config.read_text(encoding="utf-8") != text:
        raise DetectorError(
            f"{folder} holds a finished run with other settings; remove it, or name another "
            "folder: hydra.run.dir=PATH"
        )
    for stale in ("metrics.json", "report.html", "scores.parquet", *RESULTS):
        (folder / stale).unlink(missing_ok=True)
    config.write_text(text, encoding="utf-8")


def finished(
    folder: Path, cfg: DictConfig, newer_than: Path | None = None
) -> dict[str, Any] | None:
    """The metrics of a run with this very configuration, if `folder` holds all it leaves.

    Args:
        folder: the run's.
        cfg: its composed configuration.
        newer_than: a file that the results must be younger than, such as a checkpoint that was
            tested; None for a training, which leaves its own.
    """
    config, results = folder / "config.yaml", folder / "metrics.json"
    needed = ["scores.parquet"] if newer_than else ["scores.parquet", "best.ckpt"]
    if not all(file.is_file() for file in (config, results, *(folder / one for one in needed))):
        return None
    if newer_than and newer_than.stat().st_mtime_ns > results.stat().st_mtime_ns:
        return None
    if config.read_text(encoding="utf-8") != OmegaConf.to_yaml(cfg, resolve=True):
        return None
    metrics: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    return metrics
