"""A detector that scores images, as tests and predictions share it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytorch_lightning as pl
from omegaconf import DictConfig

from genspot.detector.callbacks import ScoreCollector
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.graceful_stop import GracefulStop
from genspot.detector.module import Detector
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.detector.precision import exact_float32
from genspot.evaluation.scores import score_table
from genspot.tasks.components import make_trainer
from genspot.tasks.stopping import SHUTDOWN


def prepare_scoring(
    cfg: DictConfig, folder: Path, checkpoint: Checkpoint, name: str, network: DetectorNetwork
) -> tuple[Detector, pl.Trainer, ScoreCollector]:
    """Return the detector, a trainer that computes in float32, and what collects its scores.

    Args:
        cfg: with the trainer's settings.
        folder: of the run.
        checkpoint: with the weights.
        name: of the model, for messages.
        network: of that model, with any weights.

    Raises:
        GenspotError: the weights do not fit the network; the machine lacks what is asked for.
    """
    checkpoint.load_into(network, name)
    exact_float32()
    collector = ScoreCollector()
    callbacks = [collector, GracefulStop(SHUTDOWN, folder)]
    trainer = make_trainer(cfg, "32-true", callbacks=callbacks)
    return Detector(fuse_batchnorm(network)), trainer, collector


def collected_scores(samples: pa.Table, collector: ScoreCollector) -> pa.Table:
    """Return the table of scores of the images of `samples` that were scored."""
    return score_table(samples, collector.rows, collector.logits, collector.padded)
