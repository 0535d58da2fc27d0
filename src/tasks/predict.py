"""Score a photo, or every image below a folder."""

from __future__ import annotations

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.run_files import PREDICTIONS
from genspot.common.tables import write_csv
from genspot.detector.checkpoint import load_checkpoint
from genspot.evaluation.scores import unreadable_table
from genspot.report.predictions import prediction_table, print_predictions
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.components import (
    make_datamodule,
    make_network,
    silence_warnings,
)
from genspot.tasks.scoring import collected_scores, prepare_scoring
from genspot.tasks.training_config import record, resolve_metadata, with_training_config


def predict(cfg: DictConfig) -> None:
    """Write predictions.csv and unreadable.csv, and print the predictions, highest logit first.

    Raises:
        GenspotError: no input, no usable checkpoint, or no readable image; in one line.
    """
    silence_warnings()
    if not isinstance(cfg.inputs, str | int):
        raise GenspotError("task=predict needs inputs=PHOTO_OR_FOLDER")
    checkpoint = load_checkpoint(cfg.checkpoint)
    cfg = with_training_config(cfg, checkpoint.metadata)
    metadata = resolve_metadata(cfg, checkpoint)
    model = metadata.model
    network = make_network(cfg, model, initial_weights=False)
    crop = model.test.with_crop(cfg.crop).crop
    record(cfg, metadata, crop)
    datamodule = make_datamodule(cfg, model, "none", testing=False, inputs=str(cfg.inputs))
    run = config.run_settings(cfg)
    save_config(run.folder, run.config_text, run.resume)
    datamodule.setup("predict")
    detector, trainer, collector = prepare_scoring(
        cfg, run.folder, checkpoint, model.name, network
    )
    trainer.predict(detector, datamodule=datamodule, return_predictions=False)
    if not trainer.is_global_zero:
        return
    samples = datamodule.tables["predict"]
    predictions = prediction_table(collected_scores(samples, collector))
    unreadable = unreadable_table(samples, collector.unreadable).select(["path", "reason"])
    write_csv(predictions, run.folder / PREDICTIONS)
    write_csv(unreadable, run.folder / "unreadable.csv")
    print_predictions(predictions, unreadable, run.folder, crop)
