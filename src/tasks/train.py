"""Train a detector, then test its best checkpoint."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint

from genspot.common.run_files import BEST_CHECKPOINT
from genspot.common.tables import write_csv
from genspot.data.datamodule import ImageDataModule
from genspot.detector.callbacks import SaveMetadata, StopOnNonFinite, UnreadableImages
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.graceful_stop import GracefulStop
from genspot.detector.metadata import Metadata
from genspot.detector.module import Detector
from genspot.detector.precision import resolve_precision
from genspot.detector.resume import AtomicCheckpointIO, find_checkpoint, training_position
from genspot.evaluation.scores import unreadable_table
from genspot.runtime.metrics_csv import read_metrics_csv, restore_metrics_csv
from genspot.runtime.run_folder import load_if_complete, save_config
from genspot.tasks import config
from genspot.tasks.components import (
    make_datamodule,
    make_loggers,
    make_network,
    make_trainer,
    silence_warnings,
)
from genspot.tasks.evaluate import evaluate_checkpoint
from genspot.tasks.stopping import SHUTDOWN
from genspot.tasks.test import log_results, print_existing_results

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> None:
    """Train, then test the best checkpoint on every generator.

    Raises:
        GenspotError: a setting, the data or the machine does not allow it; in one line.
    """
    run = config.run_settings(cfg)
    if results := load_if_complete(run.folder, run.config_text, run.resume):
        print_existing_results("training", results, run.folder)
        return
    silence_warnings()
    model = config.model_settings(cfg)
    tested = config.test_settings(cfg, model)
    config.check_schedule(cfg)
    metadata = Metadata(
        data=cfg.data.name,
        num_classes=cfg.data.num_classes,
        aug=cfg.aug.name,
        study=config.study_name(),
        seed=run.seed,
        model=model,
    )
    datamodule = make_datamodule(config.data_settings(cfg, model))
    save_config(run.folder, run.config_text, run.resume)
    datamodule.prepare_data()
    for stage in ("fit", "test"):  # a missing test set must not be found after the training
        datamodule.setup(stage)
    # Here, because whether a data set had to be built must not change the initial weights.
    pl.seed_everything(run.seed, verbose=False)
    trainer_settings = config.trainer_settings(cfg)
    network = make_network(cfg.model, model, trainer_settings.channels_last)
    if trainer_settings.compile:
        network.backbone.compile()
    optimizer, scheduler = (
        instantiate(cfg.schedule[name], _convert_="all") for name in ("optimizer", "lr_scheduler")
    )
    detector = Detector(network, optimizer, scheduler)
    unreadable = UnreadableImages()
    checkpoint = find_checkpoint(run.folder, run.resume)
    steps = training_position(checkpoint) if checkpoint else 0
    rows = read_metrics_csv(run.folder, steps)
    loggers = make_loggers(cfg)
    restore_metrics_csv(rows, loggers)
    precision = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator)
    trainer = make_trainer(
        trainer_settings,
        precision,
        logger=loggers,
        callbacks=[
            unreadable,
            SaveMetadata(metadata.as_dict()),
            StopOnNonFinite(run.folder, partial(_write_rows, datamodule)),
            GracefulStop(SHUTDOWN, run.folder, before_save=unreadable.synchronise),
            *instantiate(cfg.callbacks, _convert_="all").values(),
        ],
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=True,
    )
    log.info(
        "training %s on %s: precision %s, channels %s, %s, %scompiled",
        model.name,
        trainer.strategy.root_device,
        precision,
        "last" if trainer_settings.channels_last else "first",
        cfg.schedule.optimizer._target_.rpartition(".")[2],
        "" if trainer_settings.compile else "not ",
    )
    if checkpoint:
        log.info("resuming from %s", checkpoint)
    trainer.fit(detector, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    not_read = [
        unreadable_table(datamodule.tables["train"], unreadable.unreadable["train"]),
        unreadable_table(datamodule.tables["val"], unreadable.unreadable["val"]),
    ]
    # A new network: the trained one may be compiled, and has its weights of the last epoch.
    finished = evaluate_checkpoint(
        run,
        tested,
        trainer_settings,
        load_checkpoint(_best_checkpoint(trainer, run.folder)),
        metadata,
        make_network(cfg.model, model.without_initial_weights(), trainer_settings.channels_last),
        datamodule,
        unreadable_in_training=not_read,
    )
    log_results(finished, loggers)


def _write_rows(datamodule: ImageDataModule, rows: list[int], place: Path) -> None:
    samples: pa.Table = datamodule.tables["train"]
    write_csv(samples.take(rows), place)


def _best_checkpoint(trainer: pl.Trainer, folder: Path) -> Path:
    """Return the checkpoint of the highest validation accuracy."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor:
            return Path(callback.best_model_path)
    return folder / BEST_CHECKPOINT
