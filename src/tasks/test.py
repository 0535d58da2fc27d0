"""Test a checkpoint on every generator."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from genspot.common.ranks import is_rank_zero
from genspot.common.run_files import BEST_CHECKPOINT
from genspot.detector.checkpoint import Checkpoint, load_checkpoint
from genspot.evaluation.scores import read_validation
from genspot.report.console import print_results
from genspot.report.dashboard import dashboard
from genspot.report.runs import Run
from genspot.runtime.run_folder import load_if_complete, save_config
from genspot.tasks import config
from genspot.tasks.components import (
    failing_with,
    make_datamodule,
    make_loggers,
    make_network,
    silence_warnings,
)
from genspot.tasks.evaluate import evaluate_checkpoint
from genspot.tasks.training_config import record, resolve_metadata, with_training_config

log = logging.getLogger(__name__)


def test(cfg: DictConfig) -> None:
    """Test a checkpoint on every generator, with the input settings that it carries.

    Raises:
        GenspotError: a setting, the checkpoint or the data does not allow it; in one line.
    """
    silence_warnings()
    checkpoint = load_checkpoint(cfg.checkpoint)
    cfg = with_training_config(cfg, checkpoint.metadata)
    metadata = resolve_metadata(cfg, checkpoint)
    model = metadata.model
    network = make_network(cfg, model, initial_weights=False)
    tested = config.test_settings(cfg, model)
    record(cfg, metadata, tested.crop)
    validation = _validation_scores(checkpoint, tested.crop)
    score_validation = validation is None and _has_validation_images(cfg)
    datamodule = make_datamodule(cfg, model, "validation" if score_validation else "none")
    run = config.run_settings(cfg)
    if results := load_if_complete(run.folder, run.config_text, run.resume, checkpoint.path):
        print_existing_results("test", results, run.folder)
        return
    save_config(run.folder, run.config_text, run.resume)
    datamodule.prepare_data()
    for stage in ("test", *(["validate"] if score_validation else [])):
        datamodule.setup(stage)
    # The test's own seed only draws resamples; trackers find its run by that of the training.
    seed = "unknown" if metadata.seed is None else metadata.seed
    loggers = make_loggers(cfg, seed=seed)
    with failing_with(loggers):
        finished = evaluate_checkpoint(
            cfg, run, tested, checkpoint, metadata, network, datamodule, validation
        )
        log_results(finished, loggers)


def _validation_scores(checkpoint: Checkpoint, crop: int | None) -> pa.Table | None:
    """Return the scores that a training left of its best checkpoint's validation images."""
    if checkpoint.path.name != BEST_CHECKPOINT:
        return None
    return read_validation(checkpoint.path.parent, crop)


def _has_validation_images(cfg: DictConfig) -> bool:
    """Return whether the validation images of the checkpoint's own training set are here."""
    # `record` leaves only the name of a training set that is not the one of this configuration.
    folder = OmegaConf.select(cfg, "data.val")
    return bool(folder) and Path(folder).is_dir()


def log_results(results: Run | None, loggers: list[Logger]) -> None:
    """Hand the results to the loggers and close them; each gets the figures ap/GENERATOR etc.

    Args:
        results: of rank 0; None on the others.
        loggers: of the run. Those with a method `log_results` also get tables and pictures.
    """
    if results:
        content = dashboard(results)
        for logger in loggers:
            logger.log_metrics(content.figures)
            if log_more := getattr(logger, "log_results", None):
                log_more(content)
    for logger in loggers:
        logger.finalize("success")


def print_existing_results(what: str, results: dict[str, Any], folder: Path) -> None:
    """Print the results of a run that is complete already, on the first process."""
    if is_rank_zero():
        log.info("this %s is complete in %s; remove the folder to repeat it", what, folder)
        print_results(results, folder)
