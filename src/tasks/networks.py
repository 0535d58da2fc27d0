"""The network of the configuration, new or with the weights of a checkpoint."""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.dry_run import check_trained_network
from genspot.detector.inputs import INPUTS
from genspot.detector.network import DetectorNetwork, custom_model_error, fuse_batchnorm
from genspot.detector.precision import exact_float32
from genspot.detector.settings import ModelSettings
from genspot.tasks import config


def make_network(
    cfg: DictConfig, model: ModelSettings, initial_weights: bool = True
) -> DetectorNetwork:
    """Return the network of `model`.

    A part that `model` does not describe is built by the user's own config, `cfg.model`.

    Args:
        cfg: the configuration.
        model: its settings.
        initial_weights: whether it gets the initial weights that it names; a checkpoint that is
            loaded into it has its own.

    Raises:
        GenspotError: it cannot be built.
    """
    if not initial_weights:
        model = model.without_initial_weights()
    parts: dict[str, nn.Module] = {}
    for name, settings, registry in (
        ("input", model.input, INPUTS),
        ("backbone", model.backbone, BACKBONES),
    ):
        if settings:
            parts[name] = registry.build(settings)
        elif OmegaConf.select(cfg.model, f"{name}._target_"):
            node = config.as_dict(cfg.model[name])
            if "weights" in node and not initial_weights:
                node["weights"] = None
            parts[name] = instantiate(node, _convert_="all")
            if not isinstance(parts[name], nn.Module):
                raise GenspotError(
                    f"model.{name}._target_={node['_target_']} gives no torch.nn.Module"
                )
        else:
            raise custom_model_error(model)
    return DetectorNetwork(
        **parts, trainable=model.trainable, channels_last=cfg.trainer.channels_last
    )


def make_scoring_network(
    cfg: DictConfig, checkpoint: Checkpoint, model: ModelSettings
) -> DetectorNetwork:
    """Return the network of `model` with the weights of `checkpoint`, tried on black images.

    Raises:
        GenspotError: it cannot be built, has other weights, or fails on images of the test's size;
            the checkpoint is named.
    """
    with checkpoint.named():
        network = make_network(cfg, model, initial_weights=False)
        checkpoint.load_into(network, model.name)
        check_trained_network(network, model, model.test.with_crop(cfg.crop))
    return network


def make_fused_network(
    cfg: DictConfig, checkpoint: Checkpoint, model: ModelSettings
) -> DetectorNetwork:
    """Return the network of `make_scoring_network` for evaluation in exact float32.

    Its batch norms are fused; see `fuse_batchnorm`.

    Raises:
        GenspotError: see `make_scoring_network`.
    """
    exact_float32()
    return fuse_batchnorm(make_scoring_network(cfg, checkpoint, model), in_place=True)
