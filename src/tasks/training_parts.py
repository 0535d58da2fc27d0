"""What a training's schedule is made into: the loss, the trained parameters, the detector."""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig

from genspot.detector.contrastive import Contrastive, rine_head
from genspot.detector.loss import CrossEntropy, TrainingLoss
from genspot.detector.module import Detector
from genspot.detector.network import DetectorNetwork
from genspot.detector.parameters import freeze, parameter_groups
from genspot.tasks.schema import plain


def make_detector(cfg: DictConfig, network: DetectorNetwork) -> Detector:
    """Return the detector that is trained; parameters of `network` that the schedule names freeze.

    Raises:
        GenspotError: a pattern of the schedule matches no parameter, nothing is left to train, or
            the loss cannot be built or is of another head.
    """
    if cfg.schedule.get("contrastive"):
        rine_head(network)
    freeze(network, plain(cfg, "schedule.frozen") or [])
    groups = plain(cfg, "schedule.parameter_groups") or {}
    parameter_groups(network, groups)  # before the first step
    return Detector(
        network,
        instantiate(cfg.schedule.optimizer, _convert_="all"),
        instantiate(cfg.schedule.lr_scheduler, _convert_="all"),
        make_loss(cfg),
        groups,
    )


def make_loss(cfg: DictConfig) -> TrainingLoss:
    """Return what is minimised.

    Raises:
        GenspotError: a value out of range.
    """
    schedule = cfg.schedule
    loss = CrossEntropy(schedule.get("label_smoothing") or 0, plain(cfg, "schedule.class_weights"))
    return Contrastive(schedule.contrastive, loss) if schedule.get("contrastive") else loss
