"""Test a checkpoint on every generator."""

from __future__ import annotations

import logging
import os
from typing import Any, Literal

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.loggers import Logger
from yaml import YAMLError

from genspot.common.protocols import without_condition
from genspot.common.ranks import is_rank_zero
from genspot.common.run_files import BEST_CHECKPOINT, CONFIG
from genspot.data.places import missing_path
from genspot.data.settings import TRAINING_SPLITS, Place, Split, Use
from genspot.detector.checkpoint import Checkpoint
from genspot.evaluation.scores import read_validation
from genspot.report.console import print_results
from genspot.report.dashboard import dashboard
from genspot.report.run_reader import read_run
from genspot.report.runs import Run
from genspot.runtime.content import describe_file
from genspot.runtime.run_folder import check_config, load_if_complete, save_config
from genspot.tasks import config
from genspot.tasks.components import (
    failing_with,
    make_datamodule,
    make_loggers,
)
from genspot.tasks.config import RunSettings
from genspot.tasks.content import describe_sets
from genspot.tasks.evaluate import evaluate_checkpoint
from genspot.tasks.features import keep_features
from genspot.tasks.networks import make_scoring_network
from genspot.tasks.schema import plain
from genspot.tasks.scoring import check_unreadable, count_unreadable
from genspot.tasks.training_config import record, resolve_metadata, with_training_config
from genspot.tasks.warnings_filter import silence_warnings
from genspot.tasks.weights_by_name import load_named_checkpoint

log = logging.getLogger(__name__)


def test(cfg: DictConfig) -> None:
    """Test a checkpoint on every generator, with the input settings that it carries.

    Raises:
        GenspotError: a setting, the checkpoint or the data does not allow it; in one line.
    """
    silence_warnings()
    checkpoint = load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)
    cfg = with_training_config(cfg, checkpoint.metadata)
    metadata = resolve_metadata(cfg, checkpoint)
    model = metadata.model
    network = make_scoring_network(cfg, checkpoint, model)
    tested = config.test_settings(cfg, model)
    folders, known = _training_data(checkpoint)
    record(cfg, metadata, tested.crop, known)
    validation = None
    if without_condition(tested.protocol, metadata.protocol) == metadata.protocol:
        validation = _validation_scores(checkpoint, tested.crop)
    score_validation = validation is None and _has_validation_images(cfg)
    training: Literal["validation", "none"] = "validation" if score_validation else "none"
    datamodule = make_datamodule(cfg, model, training, own_protocol=metadata.protocol)
    run = config.run_settings(cfg)
    saved = run.folder, run.config_text, run.resume
    content = {"checkpoint": describe_file(checkpoint.path)}
    if load_if_complete(*saved, content):
        print_existing_results("test", run)
        return
    check_config(*saved)
    datamodule.prepare_data()
    for stage in ("test", *(["validate"] if score_validation else [])):
        datamodule.setup(stage)
    datamodule.name_training_folders(folders)
    datamodule.warn_of_notes()
    content |= describe_sets(datamodule)
    if load_if_complete(*saved, content):  # with its images at another place
        print_existing_results("test", run)
        return
    save_config(*saved, content=content)
    uses: tuple[Use, ...] = ("calibration", "test") if score_validation else ("test",)
    keep_features(cfg, model, network, datamodule, metadata.protocol, uses)
    # The test's own seed only draws resamples; trackers find its run by that of the training.
    seed = "unknown" if metadata.seed is None else metadata.seed
    loggers = make_loggers(cfg, seed=seed)
    with failing_with(loggers):
        finished = evaluate_checkpoint(
            cfg, run, tested, checkpoint, metadata, network, datamodule, validation
        )
        log_results(finished, loggers)
    if finished:
        check_unreadable(run, count_unreadable(finished.metrics))


def _validation_scores(checkpoint: Checkpoint, crop: int | None) -> pa.Table | None:
    """Return the scores that a training left of its best checkpoint's validation images."""
    if checkpoint.path.name != BEST_CHECKPOINT:
        return None
    return read_validation(checkpoint.path.parent, crop)


def _training_data(checkpoint: Checkpoint) -> tuple[dict[Split, Place], dict[str, Any]]:
    """Return the places of the training and validation images, and what is known of them.

    That is what made the fakes (`generator`), and which sets were left out (`hold_out`) and why
    (`until`). They are read from the training's run; {} without it.
    """
    file = checkpoint.path.parent / CONFIG
    try:
        data: Any = OmegaConf.to_container(OmegaConf.load(file).data)
        folders = {split: data[split] for split in TRAINING_SPLITS if data.get(split)}
        keys = ("generator", "hold_out", "until")
        return folders, {key: data[key] for key in keys if data.get(key) is not None}
    except (OSError, ValueError, AttributeError, YAMLError, OmegaConfBaseException):
        return {}, {}  # no run, or damaged; neither hinders a test


def _has_validation_images(cfg: DictConfig) -> bool:
    """Return whether the validation images of the checkpoint's own training set are here.

    Where only those of other classes are, the log says so.
    """
    # `record` leaves only the name of a training set that is not the one of this configuration.
    place, classes, count = (
        plain(cfg, f"data.{key}") for key in ("val", "classes", "num_classes")
    )
    if not place or missing_path(place) is not None:
        return False
    if count is None and isinstance(classes, list) and os.path.isdir(str(place)):
        absent = [name for name in classes if not os.path.isdir(os.path.join(place, name))]
        if absent and plain(cfg, "data.format") != "packed":
            log.warning(
                "%s lacks the class folders %s: no threshold and no temperature are fitted on the "
                "validation images of %s",
                *(place, ", ".join(absent), plain(cfg, "data.name")),
            )
            return False
    return True


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


def print_existing_results(what: str, run: RunSettings) -> None:
    """Print the results of a run that is complete already, on the first process.

    Raises:
        GenspotError: it has more unreadable images than `max_unreadable`, or is damaged.
    """
    if is_rank_zero():
        log.info("this %s is complete in %s; remove the folder to repeat it", what, run.folder)
        results = read_run(run.folder).metrics  # whose entries are checked
        print_results(results, run.folder, run.quiet)
        check_unreadable(run, count_unreadable(results))
