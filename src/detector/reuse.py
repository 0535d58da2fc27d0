"""Whether a run's folder already holds its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only


@rank_zero_only
def keep_config(folder: Path, cfg: DictConfig) -> None:
    """Save the composed configuration as config.yaml; results of another one are void."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").unlink(missing_ok=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(cfg, resolve=True), encoding="utf-8")


def finished(folder: Path, cfg: DictConfig) -> dict[str, Any] | None:
    """The metrics of a run with this very configuration, if `folder` holds all it leaves."""
    config, results = folder / "config.yaml", folder / "metrics.json"
    whole = all((folder / name).is_file() for name in ("best.ckpt", "scores.parquet"))
    if not (whole and config.is_file() and results.is_file()):
        return None
    if config.read_text(encoding="utf-8") != OmegaConf.to_yaml(cfg, resolve=True):
        return None
    metrics: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    return metrics
