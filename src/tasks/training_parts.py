"""What a training's schedule is made into: the loss, the trained parameters, the detector."""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.detector.contrastive import Contrastive, rine_head
from genspot.detector.distillation import Distillation
from genspot.detector.loss import CrossEntropy, TrainingLoss
from genspot.detector.module import Detector
from genspot.detector.network import DetectorNetwork, build_network
from genspot.detector.parameters import freeze, parameter_groups
from genspot.tasks.schema import plain
from genspot.tasks.weights_by_name import load_named_checkpoint


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
    loss = make_loss(cfg)
    if isinstance(loss, Distillation):
        loss.check_student(network)
    return Detector(
        network,
        instantiate(cfg.schedule.optimizer, _convert_="all"),
        instantiate(cfg.schedule.lr_scheduler, _convert_="all"),
        loss,
        groups,
    )


def make_loss(cfg: DictConfig) -> TrainingLoss:
    """Return what is minimised.

    Raises:
        GenspotError: a value out of range, or a teacher that cannot be had.
    """
    schedule = cfg.schedule
    if schedule.get("teacher") == "":  # of recipe=tiny_ladeda
        raise GenspotError(
            "schedule.teacher=PATH is needed: the checkpoint of a detector that scores patches, "
            "such as one of recipe=ladeda"
        )
    if schedule.get("teacher"):
        return _distillation(cfg)
    loss = CrossEntropy(schedule.get("label_smoothing") or 0, plain(cfg, "schedule.class_weights"))
    return Contrastive(schedule.contrastive, loss) if schedule.get("contrastive") else loss


def _distillation(cfg: DictConfig) -> Distillation:
    """Return the loss beside the teacher's patch logits.

    Raises:
        GenspotError: the teacher's checkpoint cannot be loaded, has another protocol or scores no
            patches; or a setting of a loss of labels is there besides.
    """
    for key in ("label_smoothing", "class_weights", "contrastive"):
        if value := plain(cfg, f"schedule.{key}"):
            raise GenspotError(
                f"schedule.{key}={value} is of a loss of labels, which a training with "
                "schedule.teacher does not have: leave one of them out"
            )
    checkpoint = load_named_checkpoint(
        cfg.schedule.teacher, cfg.paths.weights, "schedule.teacher", cfg.quiet
    )
    metadata = checkpoint.metadata
    with checkpoint.named():
        teacher = build_network(metadata.model.without_initial_weights())
        checkpoint.load_into(teacher, metadata.model.name)
    if metadata.protocol != str(cfg.protocol):
        raise GenspotError(
            f"schedule.teacher={cfg.schedule.teacher} was trained with protocol="
            f"{metadata.protocol}, and this training has protocol={cfg.protocol}: give the same"
        )
    return Distillation(teacher)
