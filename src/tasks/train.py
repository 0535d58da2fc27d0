"""Train a detector, then test its best checkpoint."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

from genspot.common.errors import GenspotError
from genspot.common.run_files import BEST_CHECKPOINT
from genspot.common.tables import write_csv
from genspot.data.datamodule import ImageDataModule
from genspot.data.settings import Use
from genspot.data.sources import require_images
from genspot.detector.callbacks import SaveMetadata, SeedSteps, StopOnNonFinite, UnreadableImages
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.dry_run import check_training_network, find_wrong_bfloat16_gradient
from genspot.detector.fit_input import FitInput
from genspot.detector.graceful_stop import GracefulStop
from genspot.detector.metadata import Metadata
from genspot.detector.precision import resolve_precision
from genspot.detector.resume import (
    AtomicCheckpointIO,
    RestoreProgress,
    find_checkpoint,
    training_position,
)
from genspot.detector.validation_figures import ValidationFigures
from genspot.evaluation.scores import unreadable_table
from genspot.runtime.metrics_csv import read_metrics_csv, restore_metrics_csv
from genspot.runtime.run_folder import check_config, load_if_complete, save_config
from genspot.tasks import config
from genspot.tasks.components import (
    check_augmentations,
    failing_with,
    make_datamodule,
    make_loggers,
    make_trainer,
)
from genspot.tasks.config import RunSettings
from genspot.tasks.content import describe_sets
from genspot.tasks.evaluate import evaluate_checkpoint
from genspot.tasks.features import keep_features
from genspot.tasks.fine_tuning import (
    check_initial_weights,
    describe_initial_weights,
    make_initial_network,
)
from genspot.tasks.model_name import check_model_name
from genspot.tasks.named_settings import changed_settings
from genspot.tasks.networks import make_network
from genspot.tasks.reference_photos import leave_reference
from genspot.tasks.scoring import check_unreadable, count_unreadable
from genspot.tasks.stopping import SHUTDOWN
from genspot.tasks.test import log_results, print_existing_results
from genspot.tasks.training_check import check_training
from genspot.tasks.training_parts import make_detector
from genspot.tasks.warnings_filter import silence_warnings

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> None:
    """Train, then test the best checkpoint on every generator.

    Raises:
        GenspotError: a setting, the data or the machine does not allow it; in one line.
    """
    run = config.run_settings(cfg)
    saved = run.folder, run.config_text, run.resume
    content = describe_initial_weights(cfg)
    if load_if_complete(*saved, content):
        print_existing_results("training", run)
        return
    silence_warnings()
    checkpoint = find_checkpoint(run.folder, run.resume)
    steps, epochs = training_position(checkpoint)
    check_config(*saved, epochs)
    check_model_name(cfg)
    check_initial_weights(cfg)
    model = config.model_settings(cfg)
    check_training(cfg)
    tested = config.test_settings(cfg, model)
    metadata = Metadata(
        data=cfg.data.name,
        num_classes=cfg.data.num_classes,
        aug=cfg.aug.name,
        study=config.study_name(),
        seed=run.seed,
        model=model,
        protocol=str(cfg.protocol),
        changed=changed_settings(cfg),
    )
    datamodule = make_datamodule(cfg, model)
    require_images(datamodule.training_set, datamodule.test_sets)  # before initial weights
    network, _ = make_initial_network(cfg, model)
    check_training_network(network, model, model.test.with_crop(cfg.crop))
    choice = cfg.trainer.precision, cfg.trainer.accelerator
    precision = resolve_precision(*choice)
    if precision == "bf16-mixed":
        wrong = find_wrong_bfloat16_gradient(network, model.train)
        precision = resolve_precision(*choice, wrong)
    make_detector(cfg, network)  # finds wrong patterns before data are read
    datamodule.prepare_data()
    for stage in ("fit", "test"):  # a missing test set must not be found after the training
        datamodule.setup(stage)
    datamodule.warn_of_notes()
    check_augmentations(datamodule)
    content |= describe_sets(datamodule)
    if load_if_complete(*saved, content):  # with its images at another place
        print_existing_results("training", run)
        return
    save_config(*saved, epochs, content)
    uses: tuple[Use, ...] = ("train", "val", "calibration", "test")
    keep_features(cfg, model, network, datamodule, metadata.protocol, uses)
    unreadable = UnreadableImages()
    loggers = fit(cfg, run, metadata, datamodule, unreadable, checkpoint, steps, precision)
    not_read = [
        unreadable_table(datamodule.tables["train"], unreadable.unreadable["train"]),
        unreadable_table(datamodule.tables["val"], unreadable.unreadable["val"]),
    ]
    with failing_with(loggers):
        if not (run.folder / BEST_CHECKPOINT).is_file():
            raise GenspotError(
                "the training ended before a validation, which chooses best.ckpt to be tested: "
                "leave trainer.max_steps, max_time, limit_val_batches, check_val_every_n_epoch "
                "and fast_dev_run as they are, or allow for one validation"
            )
        best = load_checkpoint(run.folder / BEST_CHECKPOINT)
        # A new network: the trained one may be compiled, and has the weights of the last epoch.
        network = make_network(cfg, model, initial_weights=False)
        best.load_into(network, model.name)
        finished = evaluate_checkpoint(
            cfg, run, tested, best, metadata, network, datamodule, None, not_read
        )
        log_results(finished, loggers)
    if finished:
        leave_reference(cfg, best, model, tested.crop)
        check_unreadable(run, count_unreadable(finished.metrics))


def fit(
    cfg: DictConfig,
    run: RunSettings,
    metadata: Metadata,
    datamodule: ImageDataModule,
    unreadable: UnreadableImages,
    checkpoint: Path | None,
    steps: int,
    precision: str,
) -> list[Logger]:
    """Train to the end, from `checkpoint` and its `steps` if there is one; return the loggers."""
    # Here, because whether a data set had to be built must not change the initial weights.
    pl.seed_everything(run.seed, verbose=False)
    network, source = make_initial_network(cfg, metadata.model)
    if cfg.trainer.compile:
        network.backbone.compile()
    detector = make_detector(cfg, network)
    curves = read_metrics_csv(run.folder, steps)  # before a logger deletes the file
    loggers = make_loggers(cfg)
    restore_metrics_csv(curves, loggers)
    trainer = make_trainer(
        cfg,
        precision,
        logger=loggers,
        callbacks=[
            unreadable,
            SaveMetadata(metadata.as_dict()),
            RestoreProgress(),
            ValidationFigures(),
            FitInput(datamodule.statistics_dataloader),
            SeedSteps(run.seed),
            StopOnNonFinite(run.folder, partial(_write_samples, datamodule.tables["train"])),
            GracefulStop(SHUTDOWN, run.folder, before_save=unreadable.synchronise),
            *instantiate(cfg.callbacks, _convert_="all").values(),
        ],
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=True,
    )
    layout = "channels last" if cfg.trainer.channels_last else "channels first"
    optimizer_name = cfg.schedule.optimizer._target_.rpartition(".")[2]
    compiled = ", compiled" if cfg.trainer.compile else ""
    name, device = metadata.model.name, trainer.strategy.root_device
    details = f"precision {precision}, {layout}, {optimizer_name}{compiled}"
    log.info("training %s on %s: %s", name, device, details)
    if checkpoint:
        log.info("resuming from %s", checkpoint)
    elif source:
        log.info(source)
    trainer.fit(detector, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    return loggers


def _write_samples(samples: pa.Table, rows: list[int], path: Path) -> None:
    write_csv(samples.take(rows), path)
