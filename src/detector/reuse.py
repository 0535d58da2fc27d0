"""Whether a run's folder already holds its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from detector.errors import DetectorError


@rank_zero_only
def keep_config(folder: Path, cfg: DictConfig) -> None:
    """Save the composed configuration as config.yaml.

    Raises:
        DetectorError: the folder holds the results of another configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, text = folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True)
    if (folder / "metrics.json").is_file() and config.read_text(encoding="utf-8") != text:
        raise DetectorError(
            f"{folder} holds a finished run with other settings; remove it, or name another "
            "folder: hydra.run.dir=PATH"
        )
    for stale in ("metrics.json", "report.html", "scores.parquet"):
        (folder / stale).unlink(missing_ok=True)
    config.write_text(text, encoding="utf-8")


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
