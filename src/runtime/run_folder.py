"""Whether a run's folder already holds its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError

LAST_WRITTEN = "report.html"  # of all that a run leaves: without it, the run was interrupted
RESULTS = ("results.csv", "results.md", "results.tex")


def keep_config(folder: Path, cfg: DictConfig) -> None:
    """Save the composed configuration as config.yaml, on rank 0.

    Raises:
        GenspotError: the folder holds the results, a prediction, or the begun training of
            another configuration.
    """
    # Imported here, for run.py only asks what is finished, and must not wait for Lightning.
    from pytorch_lightning.utilities import rank_zero_only

    from genspot.detector.resume import LAST, PREVIOUS
    from genspot.evaluation.scores import write_text

    if getattr(rank_zero_only, "rank", 0) != 0:
        return
    folder.mkdir(parents=True, exist_ok=True)
    config, text = folder / "config.yaml", _text(cfg)
    known = config.read_text(encoding="utf-8") if config.is_file() else text
    states = {"metrics.json": "a finished run", "predictions.csv": "a prediction"}
    if cfg.resume == "auto":
        states |= {LAST: "a begun training", PREVIOUS: "a begun training"}
    for left, state in states.items():
        if (folder / left).is_file() and known != text:
            raise GenspotError(
                f"{folder} holds {state} with other settings; remove it, or name another "
                "folder: hydra.run.dir=PATH"
            )
    stale = [LAST_WRITTEN, "metrics.json", "scores.parquet", "validation.parquet", *RESULTS]
    if cfg.resume == "never":
        stale += [LAST, PREVIOUS, "best.ckpt"]
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    write_text(text, config)


def _text(cfg: DictConfig) -> str:
    """`cfg` as YAML, without `resume`, which is no part of what is run."""
    kept = [str(key) for key in cfg if key != "resume"]
    return OmegaConf.to_yaml(OmegaConf.masked_copy(cfg, kept), resolve=True)


def finished(
    folder: Path, cfg: DictConfig, newer_than: Path | None = None
) -> dict[str, Any] | None:
    """The metrics of a run with this very configuration, if `folder` holds all it leaves.

    None where `resume` is "never": the run is wanted anew.

    Args:
        folder: the run's.
        cfg: its composed configuration.
        newer_than: a file that the results must be younger than, such as a checkpoint that was
            tested; None for a training, which leaves its own.
    """
    if cfg.get("resume") == "never":
        return None
    config, results = folder / "config.yaml", folder / "metrics.json"
    needed = ["scores.parquet", LAST_WRITTEN, *([] if newer_than else ["best.ckpt"])]
    if not all(file.is_file() for file in (config, results, *(folder / one for one in needed))):
        return None
    if newer_than and newer_than.stat().st_mtime_ns > results.stat().st_mtime_ns:
        return None
    if config.read_text(encoding="utf-8") != _text(cfg):
        return None
    metrics: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    return metrics
