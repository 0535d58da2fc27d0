"""Photos scored in one process on the CPU, without Lightning, which takes seconds to import.

PyTorch is not imported for exported detectors.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from genspot.common.names import NO_PROTOCOL
from genspot.data.batch_reader import predict_batches
from genspot.data.dataset import Protocols
from genspot.data.image_data import ImageData
from genspot.data.settings import Simulation, Split
from genspot.detector.score_log import ScoreLog
from genspot.detector.scoring_loop import score_batches
from genspot.detector.settings import ModelSettings
from genspot.tasks import config
from genspot.tasks.config import RunSettings
from genspot.tasks.scoring import Loop

if TYPE_CHECKING:
    from genspot.tasks.photo_detector import PhotoDetector

# Settings of `trainer` that a prediction on one CPU does not depend on, and the values that the
# others must have: with any other, Lightning's trainer scores.
TRAINING_ONLY = {
    *("name", "channels_last", "compile", "precision", "sync_batchnorm", "max_epochs"),
    *("accumulate_grad_batches", "gradient_clip_val", "num_sanity_val_steps"),
    *("log_every_n_steps", "use_distributed_sampler", "enable_model_summary", "default_root_dir"),
    *("min_epochs", "max_steps", "min_steps", "limit_train_batches", "limit_val_batches"),
    *("check_val_every_n_epoch", "val_check_interval", "gradient_clip_algorithm"),
}
ONE_PROCESS: dict[str, tuple[Any, ...]] = {
    "_target_": ("pytorch_lightning.Trainer",),
    "accelerator": ("auto", "cpu"),
    "devices": (1,),
    "num_nodes": (1,),
    "strategy": ("auto",),
    "enable_progress_bar": (True, False),
}
LAUNCHERS = ("SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "WORLD_SIZE")  # of several processes


class PlainLoop:
    """Score the images of a prediction on the CPU.

    Args:
        detector: that scores them.
        images: of the prediction.
    """

    is_first, processes = True, 1

    def __init__(self, detector: PhotoDetector, images: ImageData) -> None:
        self.detector, self.images, cfg = detector, images, detector.cfg
        shown = cfg.trainer.get("enable_progress_bar", True) and not cfg.quiet
        self.bar = bool(shown and sys.stdout.isatty())

    def score(self, split: Split, score_log: ScoreLog) -> None:
        """Append the scores of the images of the prediction to `score_log`."""
        assert split == "predict", split
        score_batches(self.detector.logits, predict_batches(self.images), score_log, self.bar)


def is_plain(cfg: DictConfig) -> bool:
    """Return whether `cfg.trainer` asks for one process on the CPU and nothing of Lightning's."""
    settings = config.as_dict(cfg.trainer)
    known = all(
        key in TRAINING_ONLY or value in ONE_PROCESS.get(key, ())
        for key, value in settings.items()
    )
    import torch

    on_cpu = settings.get("accelerator") == "cpu" or not (
        torch.cuda.is_available() or torch.backends.mps.is_available()
    )
    return known and on_cpu and not any(name in os.environ for name in LAUNCHERS)


def make_loop(detector: PhotoDetector, run: RunSettings, images: ImageData) -> Loop:
    """Return what scores the photos: a `PlainLoop` if it can, else Lightning's trainer.

    Raises:
        GenspotError: the machine lacks what is asked for.
    """
    if detector.network is None or is_plain(detector.cfg):
        return PlainLoop(detector, images)
    from genspot.tasks.lightning_scoring import LightningLoop  # slow

    return LightningLoop(detector.cfg, run, detector.network, images)


def make_image_data(
    cfg: DictConfig, model: ModelSettings, inputs: list[str], own_protocol: str
) -> ImageData:
    """Return the photos of a prediction, as a detector is to score them.

    Args:
        cfg: the configuration.
        model: whose test geometry the images get; `cfg.crop` replaces its crop.
        inputs: the photos, folders and so on.
        own_protocol: of the checkpoint.

    Raises:
        GenspotError: a value out of range.
    """
    protocols: Protocols = (None, None)
    if str(cfg.protocol) != NO_PROTOCOL:
        from genspot.augment.conditions import parse_test_protocol  # slow

        protocols = parse_test_protocol(str(cfg.protocol), own_protocol)
    return ImageData(
        training_set=None,
        test_sets=[],
        augment={},
        train_geometry=model.train,
        test_geometry=model.test.with_crop(cfg.crop),
        loading=config.loading(cfg),
        simulation=Simulation(**cfg.simulation),
        inputs=inputs,
        test_protocols=protocols,
    )
